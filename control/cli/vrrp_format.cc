#include "control/cli/vrrp_format.h"

#include <fmt/format.h>

#include <map>

#include "config/base/units.h"

namespace torii::cli {
namespace {

std::string time(double seconds) {
    return to_string(std::chrono::microseconds(std::chrono::seconds(int64_t(seconds))));
}

std::string priority(const api::VrrpInstance& v) {
    if (v.priority == v.configured_priority) return fmt::format("priority {}", v.priority);
    return fmt::format("priority {} (configured {})", v.priority, v.configured_priority);
}

std::string adverts(const api::VrrpInstance& v) {
    std::string out = fmt::format("sent {} ({} late), heard {}", v.sent, v.late, v.received);
    if (v.send_failed) out += fmt::format(", not sent {}", v.send_failed);
    for (const auto& [reason, count] : v.refused)
        if (count) out += fmt::format(", refused {} {}", count, reason);
    return out;
}

std::string describe(const api::VrrpInstance& v) {
    std::string out =
        fmt::format("{}  {} for {} ({}), {}{}\n", v.name, v.state, time(v.since_seconds), v.reason,
                    priority(v), v.group.empty() ? "" : ", group " + v.group);
    out +=
        fmt::format("  router     {} on {}, version {}, {}, every {}\n", v.router_id, v.interface,
                    v.version, v.family, to_string(std::chrono::microseconds(v.interval_us)));
    for (const std::string& a : v.addresses) out += fmt::format("  address    {}\n", a);
    if (!v.active_router.empty() && v.state == "backup")
        out += fmt::format("  active     {}, priority {}\n", v.active_router, v.active_priority);
    for (const std::string& i : v.influences) out += fmt::format("  because    {}\n", i);
    return out + fmt::format("  adverts    {}\n", adverts(v));
}

}  // namespace

std::string describe(const api::Vrrp& all) {
    if (all.instances.empty()) return "no VRRP instance is configured\n";
    std::string out;
    for (const api::VrrpInstance& v : all.instances) out += describe(v);
    for (const api::VrrpGroup& g : all.groups)
        out += fmt::format("group {}  {}\n", g.name, g.state.empty() ? "changing" : g.state);
    if (all.lost) out += fmt::format("{} messages were lost because too many waited\n", all.lost);
    for (const std::string& w : all.warnings) out += fmt::format("warning: {}\n", w);
    return out;
}

std::string summary(const api::Vrrp& all) {
    if (all.instances.empty()) return {};
    std::map<std::string, std::string> names;  // by state
    for (const api::VrrpInstance& v : all.instances)
        names[v.state] += (names[v.state].empty() ? "" : " ") + v.name;
    std::string out;
    for (const auto& [state, list] : names)
        out += fmt::format("{}{}: {}", out.empty() ? "" : ", ", state, list);
    return fmt::format("vrrp       {}\n", out);
}

}  // namespace torii::cli
