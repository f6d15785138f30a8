#include "control/api/vrrp.h"

#include <nlohmann/json.hpp>

namespace torii::api {

using nlohmann::json;

NLOHMANN_DEFINE_TYPE_NON_INTRUSIVE(VrrpLateness, up_to_us, adverts)
NLOHMANN_DEFINE_TYPE_NON_INTRUSIVE(VrrpInstance, name, group, interface, family, router_id, version,
                                   state, reason, since_seconds, priority, configured_priority,
                                   influences, interval_us, addresses, active_router,
                                   active_priority, active_interval_us, sent, received,
                                   resignations_sent, resignations_received, late, send_failed,
                                   weaker, refused, transitions, lateness, lateness_sum_us)
NLOHMANN_DEFINE_TYPE_NON_INTRUSIVE(VrrpGroup, name, state, members)
NLOHMANN_DEFINE_TYPE_NON_INTRUSIVE(Vrrp, groups, instances, lost, warnings)
NLOHMANN_DEFINE_TYPE_NON_INTRUSIVE(VrrpEvent, time, event, kind, name, state, reason, priority)

namespace {

std::string text(const json& j, int indent = -1) {
    return j.dump(indent, ' ', false, json::error_handler_t::replace);
}

template <class T>
Result<T> parse(std::string_view s) {
    try {
        return json::parse(s).get<T>();
    } catch (const json::exception& e) {
        return fail(Errc::invalid, std::string("not the reply that was expected: ") + e.what());
    }
}

}  // namespace

std::string to_json(const Vrrp& v) { return text(json(v), 2) + "\n"; }
std::string to_json(const VrrpEvent& v) { return text(json(v)); }

template <>
Result<Vrrp> from_json(std::string_view s) {
    return parse<Vrrp>(s);
}
template <>
Result<VrrpEvent> from_json(std::string_view s) {
    return parse<VrrpEvent>(s);
}

}  // namespace torii::api
