#pragma once
// What was measured: several runs of everything, so that a reader sees how far they lie apart.

#include <cstdint>
#include <functional>
#include <regex>
#include <string>
#include <vector>

namespace torii::bench {

/// How much is measured.
struct Effort {
    unsigned runs = 11;                  ///< of every case; the median of them counts
    double seconds = 0.05;               ///< measured time of one run, about
    uint32_t new_connections = 400'000;  ///< of one run of connections/new
};
inline constexpr Effort kQuick{3, 0.002, 20'000};

struct Result {
    std::string name, unit;
    std::vector<double> runs;
    double median() const;
    double min() const;
    double max() const;
};

/// Collects results, prints each line when it is complete, and keeps to the wanted names.
class Report {
public:
    explicit Report(const std::string& only) : only_(only) {}
    bool wants(const std::string& name) const { return std::regex_search(name, only_); }
    void add(const std::string& name, const std::string& unit, std::vector<double> runs);
    /// One more run of a case that is measured in between others; printed by finish().
    void also(const std::string& name, const std::string& unit, double run);
    void finish();
    /// The results as a JSON array.
    std::string json() const;

private:
    std::regex only_;
    std::vector<Result> results_, scattered_;
};

/// Prints the sentence and ends the program: a bench that cannot measure must not print figures.
[[noreturn]] void give_up(const std::string& why);

}  // namespace torii::bench
