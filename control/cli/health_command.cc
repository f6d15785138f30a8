#include "control/cli/health_command.h"

#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <set>

#include "config/base/units.h"
#include "control/cli/invocation.h"
#include "control/cli/say.h"

namespace torii::cli {
namespace {

std::string_view state_word(const api::Check& c) {
    if (!c.proven) return "unknown";
    if (c.held) return "held";
    return c.up ? "up" : "down";
}

std::string servers_of(const api::Check& c) {
    std::set<std::string> names;
    for (const api::CheckedServer& s : c.servers)
        names.insert(fmt::format("{}/{}", s.service, s.server.empty() ? s.backend : s.server));
    return fmt::format("{}", fmt::join(names, " "));
}

std::string said_of(const api::Check& c) {
    std::string said = c.reason.empty() || c.reason == "success" ? "" : c.reason;
    if (!c.detail.empty()) said += (said.empty() ? "" : ": ") + c.detail;
    if (!c.warning.empty()) said += (said.empty() ? "" : "; ") + c.warning;
    if (c.weight >= 0) said += fmt::format("{}weight {}", said.empty() ? "" : "; ", c.weight);
    return said;
}

bool speaks(const api::Check& c) {
    return !c.proven || !c.up || !c.warning.empty() || c.streak != 0;
}

}  // namespace

std::string describe(const api::Health& h, bool all) {
    std::string out;
    for (const api::Check& c : h.checks) {
        if (!all && !speaks(c)) continue;
        const auto since = std::chrono::seconds(c.seconds_in_state);
        out +=
            fmt::format("{:<8} {:<7} {:<22} {:>6} {:>9.1f}ms  {}  {}\n", state_word(c), c.type,
                        c.via.empty() ? c.target : fmt::format("{} on {}", c.via, c.target),
                        to_string(since), double(c.duration_us) / 1000, servers_of(c), said_of(c));
    }
    for (const api::ServiceHealth& s : h.services)
        if (all || !s.quorum || s.up < s.servers)
            out += fmt::format("{:<8} service {:<22} {} of {} servers up\n",
                               s.quorum ? "quorum" : "lost", s.virtual_service, s.up, s.servers);
    for (const api::HeldServer& s : h.held)
        out += fmt::format("{:<8} by hand {}{}\n", s.state, s.server,
                           s.service.empty() ? "" : " in " + s.service);
    return out;
}

std::string summary(const api::Health& h) {
    std::string held;
    for (const api::HeldServer& s : h.held)
        held += fmt::format("by hand    {} {}{}\n", s.server, s.state,
                            s.service.empty() ? "" : " in " + s.service);
    if (h.checks.empty()) return held;
    const auto down = std::ranges::count_if(h.checks, [](const api::Check& c) { return !c.up; });
    const auto lost =
        std::ranges::count_if(h.services, [](const api::ServiceHealth& s) { return !s.quorum; });
    return fmt::format("health     {} checks, {} down; {} of {} services without quorum\n{}",
                       h.checks.size(), down, lost, h.services.size(), held);
}

int health(const Invocation& in) {
    const auto place = place_of(in);
    if (!place) return 1;
    if (in.json) {
        const auto answer = api::ask(place->socket, "GET", "/v1/health");
        if (!answer) return complain(not_served(*place, answer.error()));
        if (answer->status != 200) return complain(api::error_message(answer->body));
        say("{}", answer->body);
        return 0;
    }
    const auto now = get<api::Health>(*place, "/v1/health");
    if (!now) return complain(now.error().message);
    const bool all = in.words.empty() || in.words[0] != "down";
    say("{}", describe(*now, all));
    return 0;
}

}  // namespace torii::cli
