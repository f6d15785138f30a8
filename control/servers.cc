#include "control/servers.h"

#include <algorithm>
#include <unordered_set>

namespace torii::control {
namespace {

void add_all(const Service& s, std::vector<Address>& to) {
    for (const Destination& d : s.destinations) to.push_back(d.key.address);
}

}  // namespace

void Servers::add(const Desired& d) {
    if (d.services == told_) return;
    std::unordered_set<const Service*> known;
    for (const Service& s : told_) known.insert(&s);
    std::vector<Address> fresh;
    for (const Service& s : d.services)
        if (!known.contains(&s)) add_all(s, fresh);
    network_.keep_also(std::move(fresh));
    told_ = d.services;
    exact_ = false;
}

void Servers::set(const Desired& d, const health::HealthState& h) {
    std::vector<Address> all;
    for (const Service& s : d.services) add_all(s, all);
    for (const auto& [key, s] : h.services)
        if (s->sorry) all.push_back(s->sorry->address);
    std::ranges::sort(all);
    all.erase(std::ranges::unique(all).begin(), all.end());
    network_.keep_resolved(std::move(all));
    told_ = d.services;
    exact_ = true;
}

}  // namespace torii::control
