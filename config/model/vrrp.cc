#include "config/model/vrrp.h"

#include <algorithm>

namespace torii::config {

std::string_view to_string(VrrpAuth a) {
    switch (a) {
        case VrrpAuth::none:
            return "none";
        case VrrpAuth::pass:
            return "pass";
    }
    return "unknown";
}

Family VrrpInstance::family() const {
    if (!addresses.empty()) return addresses.front().prefix.address.family();
    if (!peers.empty()) return peers.front().family();
    if (!source.is_unspecified()) return source.family();
    return excluded.empty() ? Family::ipv4 : excluded.front().prefix.address.family();
}

const VrrpGroup* group_of(const Vrrp& vrrp, std::string_view instance) {
    const auto group = std::ranges::find_if(vrrp.groups, [&](const VrrpGroup& g) {
        return std::ranges::find(g.members, instance) != g.members.end();
    });
    return group == vrrp.groups.end() ? nullptr : &*group;
}

}  // namespace torii::config
