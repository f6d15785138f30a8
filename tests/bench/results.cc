#include "tests/bench/results.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstdio>
#include <cstdlib>

namespace torii::bench {
namespace {

void print(const Result& r) {
    fmt::print("{:<44} {:>14.2f} {:<10} {:>14.2f} {:>14.2f} {:>4}\n", r.name, r.median(), r.unit,
               r.min(), r.max(), r.runs.size());
    std::fflush(stdout);
}

}  // namespace

double Result::median() const {
    std::vector<double> sorted = runs;
    std::sort(sorted.begin(), sorted.end());
    const size_t n = sorted.size();
    return n % 2 ? sorted[n / 2] : (sorted[n / 2 - 1] + sorted[n / 2]) / 2;
}
double Result::min() const { return *std::min_element(runs.begin(), runs.end()); }
double Result::max() const { return *std::max_element(runs.begin(), runs.end()); }

void Report::add(const std::string& name, const std::string& unit, std::vector<double> runs) {
    results_.push_back({name, unit, std::move(runs)});
    print(results_.back());
}

void Report::also(const std::string& name, const std::string& unit, double run) {
    const auto it = std::ranges::find(scattered_, name, &Result::name);
    if (it != scattered_.end())
        it->runs.push_back(run);
    else
        scattered_.push_back({name, unit, {run}});
}

void Report::finish() {
    for (Result& r : scattered_) add(r.name, r.unit, std::move(r.runs));
    scattered_.clear();
}

std::string Report::json() const {
    std::string out = "[";
    for (const Result& r : results_)
        out += fmt::format(
            "{}\n{{\"name\": \"{}\", \"unit\": \"{}\", \"median\": {:.4g}, \"min\": {:.4g}, "
            "\"max\": {:.4g}, \"runs\": {}}}",
            out.size() > 1 ? "," : "", r.name, r.unit, r.median(), r.min(), r.max(), r.runs.size());
    return out + "\n]\n";
}

void give_up(const std::string& why) {
    fmt::print(stderr, "torii-bench: {}\n", why);
    std::exit(1);
}

}  // namespace torii::bench
