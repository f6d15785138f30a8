#include "control/reload.h"

#include <fmt/format.h>

#include <set>

#include "config/check/check.h"
#include "config/load/load.h"
#include "config/schema/schema.h"
#include "healthcheck/probe.h"

namespace torii::control {
namespace {

// Where the address is written, and what people call the server.
struct Place {
    config::Mark mark;
    std::string name;
};

Place place(const config::Config& c, const config::Backend& b) {
    if (b.server.empty()) return {b.address_mark, to_string(b.address)};
    const auto it = c.servers.find(b.server);
    const config::Mark mark = it != c.servers.end() ? it->second.address_mark : b.server_mark;
    return {mark, fmt::format("{} ({})", b.server, to_string(b.address))};
}

}  // namespace

std::vector<config::Diagnostic> check_routes(const config::Config& c,
                                             const kernel::RouteIndex& routes) {
    std::vector<config::Diagnostic> found;
    std::set<std::string> told;
    for (const config::Service& s : c.services) {
        for (const config::Backend& b : s.backends) {
            const auto kind = routes.lookup(b.address).kind;
            if (kind != kernel::Resolved::Kind::none && kind != kernel::Resolved::Kind::blackhole)
                continue;
            const Place at = place(c, b);
            if (!told.insert(at.name).second) continue;
            if (kind == kernel::Resolved::Kind::none)
                found.push_back({at.mark, fmt::format("no route to server {}: add a route or fix "
                                                      "the address",
                                                      at.name)});
            else
                found.push_back(
                    {at.mark, fmt::format("server {}: {}", at.name,
                                          *kernel::why_unreachable(routes, b.address))});
        }
    }
    return found;
}

std::vector<config::Diagnostic> check_probes(const config::Config& c) {
    std::vector<config::Diagnostic> found;
    const auto look = [&](const std::vector<config::Health>& checks) {
        for (const config::Health& h : checks)
            if (std::string mistake = healthcheck::mistake_in(h); !mistake.empty())
                found.push_back({h.mark, std::move(mistake)});
    };
    for (const config::Service& s : c.services) {
        look(s.resolved);
        for (const config::Backend& b : s.backends) look(b.resolved);
    }
    return found;
}

namespace {

Checked check_loaded(config::Loaded loaded, const std::string& instance,
                     const kernel::RouteIndex& routes) {
    if (!loaded.config) return {std::nullopt, std::move(loaded.diagnostics)};
    if (!instance.empty()) config::set_instance(*loaded.config, instance);
    auto diagnostics = config::check_machine(*loaded.config, config::this_machine());
    for (auto more : {check_probes(*loaded.config), check_routes(*loaded.config, routes)})
        diagnostics.insert(diagnostics.end(), std::make_move_iterator(more.begin()),
                           std::make_move_iterator(more.end()));
    if (!diagnostics.empty()) return {std::nullopt, std::move(diagnostics)};
    return {std::move(loaded.config), {}};
}

}  // namespace

Checked load_checked(const std::string& file, const std::string& instance,
                     const kernel::RouteIndex& routes) {
    return check_loaded(config::load_file(file), instance, routes);
}

Checked check_text(std::string_view text, const std::string& file, const std::string& instance,
                   const kernel::RouteIndex& routes) {
    return check_loaded(config::load_text(text, file), instance, routes);
}

Error error_of(const std::vector<config::Diagnostic>& all) {
    std::string text = config::format(all);
    if (!text.empty()) text.pop_back();
    return {Errc::invalid, std::move(text)};
}

std::vector<std::string> restart_notes(const config::Config& from, const config::Config& to) {
    std::vector<std::string> notes;
    for (const config::Change& c : config::changes(from, to)) {
        if (c.reload == config::Reload::live) continue;
        const bool dataplane = c.key.starts_with("dataplane");
        const char* who = dataplane             ? "torii-dataplane restarts"
                          : c.key == "instance" ? "both daemons restart"
                                                : "toriid restarts";
        notes.push_back(fmt::format("{} changed: it takes effect when {}", c.key, who));
    }
    return notes;
}

}  // namespace torii::control
