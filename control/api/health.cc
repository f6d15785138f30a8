#include "control/api/health.h"

#include <nlohmann/json.hpp>

namespace torii::api {

using nlohmann::json;

NLOHMANN_DEFINE_TYPE_NON_INTRUSIVE(CheckedServer, service, virtual_service, server, backend)
NLOHMANN_DEFINE_TYPE_NON_INTRUSIVE(Check, type, target, via, up, proven, held, streak,
                                   seconds_in_state, reason, detail, warning, duration_us, good,
                                   bad, weight, servers)
NLOHMANN_DEFINE_TYPE_NON_INTRUSIVE(ServiceHealth, virtual_service, quorum, up, servers)
NLOHMANN_DEFINE_TYPE_NON_INTRUSIVE(HeldServer, server, service, state)
NLOHMANN_DEFINE_TYPE_NON_INTRUSIVE(Lateness, up_to_us, probes)
NLOHMANN_DEFINE_TYPE_NON_INTRUSIVE(Health, checks, services, held, results, started, late, lateness,
                                   lateness_sum_us, worst_delay_us, most_running, absences, away_us)

// Details come from peers and were made printable; a name that is not UTF-8 must not throw either.
std::string to_json(const Health& v) {
    return json(v).dump(-1, ' ', false, json::error_handler_t::replace) + "\n";
}

template <>
Result<Health> from_json(std::string_view s) {
    try {
        return json::parse(s).get<Health>();
    } catch (const json::exception& e) {
        return fail(Errc::invalid, std::string("not the reply that was expected: ") + e.what());
    }
}

}  // namespace torii::api
