#include "control/cli/status_format.h"

#include <fmt/format.h>

#include <chrono>

#include "config/base/units.h"
#include "dataplane/stages/verdict.h"

namespace torii::cli {
namespace {

std::string dataplane(const api::Status& s) {
    if (!s.dataplane_up) return "not running";
    return fmt::format("{}, {} worker{}", s.dataplane_ready ? "ready" : "starting", s.workers,
                       s.workers == 1 ? "" : "s");
}

std::string generation(const api::Generation& g) {
    if (g.published == g.in_force) return fmt::format("generation {} in force", g.in_force);
    return fmt::format("generation {} published, {} in force", g.published, g.in_force);
}

std::string_view outcome_word(stages::Outcome o) {
    switch (o) {
        case stages::Outcome::none:
            return "";
        case stages::Outcome::forwarded:
            return "forwarded";
        case stages::Outcome::answered:
            return "answered";
        case stages::Outcome::kernel:
            return "to kernel";
        case stages::Outcome::dropped:
            return "dropped";
    }
    return "";
}

}  // namespace

std::string describe(const api::Status& s, const api::Ready& r) {
    std::string out = fmt::format("torii {}, instance {}, up {}, {}\n", s.version, s.instance,
                                  to_string(std::chrono::seconds(s.uptime_seconds)), s.config_file);
    if (r.ready && !s.dataplane_up) return out + "dataplane  none: VRRP alone\n";
    out += fmt::format("dataplane  {}\n", dataplane(s));
    for (const api::Port& p : s.ports)
        out += fmt::format("port       {} {} {} mtu {}, {} queue{}\n", p.name, p.interface, p.mac,
                           p.mtu, p.queues, p.queues == 1 ? "" : "s");
    out += fmt::format("services   {}\n", generation(s.generation.services));
    out += fmt::format("routes     {}\n", generation(s.generation.routes));
    out += fmt::format("table      {} of {} entries used\n", s.table.used, s.table.capacity);
    out += fmt::format("packets    {} received, {} waiting\n", s.received, s.waiting);
    for (const stages::VerdictInfo& v : stages::kVerdicts) {
        const auto it = s.verdicts.find(std::string(v.name));
        if (it == s.verdicts.end() || it->second == 0) continue;
        out += fmt::format("  {:<9} {:>15}  {}: {}\n", outcome_word(v.outcome), it->second, v.name,
                           v.help);
    }
    for (const std::string& m : r.missing) out += fmt::format("missing    {}\n", m);
    for (const std::string& w : r.warnings) out += fmt::format("warning    {}\n", w);
    return out;
}

}  // namespace torii::cli
