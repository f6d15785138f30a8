#include "control/vrrp/standby.h"

#include <algorithm>

namespace torii::control::vrrp {

static_assert(config::kMostStandby == shm::kMaxStandby);

StandbyBook::StandbyBook(shm::StandbyTable& table) : table_(table) { said_.follow(table); }

void StandbyBook::plan(const Plan& plan) {
    on_ = plan.backup_only;
    std::erase_if(instances_, [&](const auto& i) { return plan.find(i.first) == nullptr; });
    for (const InstancePlan& p : plan.instances) {
        const auto [it, fresh] = instances_.try_emplace(p.key);
        Standing& s = it->second;
        s.addresses.clear();
        for (const config::VrrpAddress& a : p.addresses) s.addresses.push_back(a.prefix.address);
        if (fresh)
            s.waits =
                !s.addresses.empty() &&
                std::ranges::all_of(s.addresses, [&](const Address& a) { return said_.covers(a); });
    }
    update();
}

void StandbyBook::waits(Key key, bool waits) {
    const auto it = instances_.find(key);
    if (it == instances_.end()) return;
    it->second.waits = waits;
    update();
}

void StandbyBook::lingers(Key key, bool lingers) {
    const auto it = instances_.find(key);
    if (it == instances_.end()) return;
    it->second.lingers = lingers;
    update();
}

void StandbyBook::update() {
    std::vector<Address> addresses;
    size_t waiting = 0;
    for (const auto& [key, s] : instances_) {
        if (!s.waits || s.lingers) continue;
        ++waiting;
        addresses.insert(addresses.end(), s.addresses.begin(), s.addresses.end());
    }
    shm::Standby now;
    if (on_ && waiting != 0)
        now = waiting == instances_.size() ? shm::Standby::of_everything()
                                           : shm::Standby(std::move(addresses));
    // The first time always: whoever wrote last may have died over it.
    if (written_ && now == said_) return;
    written_ = true;
    said_ = std::move(now);
    write(table_, said_);
}

}  // namespace torii::control::vrrp
