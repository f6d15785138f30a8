#include "control/manual.h"

#include <fmt/format.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <nlohmann/json.hpp>
#include <optional>
#include <span>
#include <utility>
#include <vector>

#include "config/load/document.h"
#include "control/replacement.h"

namespace torii::control {
namespace {

using nlohmann::json;

constexpr std::pair<ManualState, std::string_view> kStates[] = {
    {ManualState::up, "up"}, {ManualState::drain, "drain"}, {ManualState::down, "down"}};

/// One thing that was said, ready to be compared with thousands of servers.
struct Said {
    Said(const ManualKey& k, ManualState s) : key(k), state(s) {
        if (const auto a = parse_address(k.server)) address = *a;
        if (const auto e = parse_endpoint(k.server); e && e->port != 0) endpoint = *e;
    }
    bool means(const Destination& d) const {
        return key.server == d.name || address == d.key.address || endpoint == d.key;
    }
    bool means(const Service& s) const {
        return key.service == s.name || key.service == to_string(s.key);
    }
    const ManualKey& key;
    ManualState state;
    std::optional<Address> address;
    std::optional<Endpoint> endpoint;
};

std::vector<Said> prepared(const Manual& manual) {
    std::vector<Said> all;
    for (const auto& [key, state] : manual) all.emplace_back(key, state);
    return all;
}

ManualState state_of(std::span<const Said> manual, const Service& s, const Destination& d) {
    ManualState state = ManualState::up;
    for (const Said& said : manual) {
        if (!said.means(d)) continue;
        if (!said.key.service.empty() && said.means(s)) return said.state;
        if (said.key.service.empty()) state = std::max(state, said.state);
    }
    return state;
}

}  // namespace

std::string_view to_string(ManualState state) {
    for (const auto& [value, name] : kStates)
        if (value == state) return name;
    return "unknown";
}

Result<ManualState> parse_manual_state(std::string_view text) {
    for (const auto& [value, name] : kStates)
        if (name == text) return value;
    return fail(Errc::invalid, fmt::format("'{}' is none of up, drain, down", text));
}

ManualState manual_state(const Manual& manual, const Service& s, const Destination& d) {
    return state_of(prepared(manual), s, d);
}

namespace {

// The service as it is to be, or the same handle when nothing is said of its servers.
ServiceHandle applied(const std::vector<Said>& said, const ServiceHandle& handle) {
    const Service& s = *handle;
    const auto state = [&](const Destination& d) { return state_of(said, s, d); };
    if (std::ranges::all_of(s.destinations,
                            [&](const Destination& d) { return state(d) == ManualState::up; }))
        return handle;
    Service out = s;
    std::erase_if(out.destinations, [&](Destination& d) {
        const ManualState is = state(d);
        if (is == ManualState::drain) d.weight = 0;
        return is == ManualState::down;
    });
    return out;
}

}  // namespace

Desired apply_manual(Desired all, const Manual& manual, ManualMemory& memory) {
    const std::vector<Said> said = prepared(manual);
    if (said.empty()) return all;
    for (size_t i = 0; i < all.services.size(); ++i) {
        const ServiceHandle s = all.services.handles()[i];
        all.services.set(i, memory.of(s->key, s, {}, [&] { return applied(said, s); }));
    }
    memory.sweep();
    return all;
}

Desired apply_manual(Desired all, const Manual& manual) {
    ManualMemory none;
    return apply_manual(std::move(all), manual, none);
}

Result<Manual> say(Manual manual, const ManualKey& key, ManualState state, const Desired& all) {
    const Said said(key, state);
    const bool known = std::any_of(all.services.begin(), all.services.end(), [&](const Service& s) {
        return (key.service.empty() || said.means(s)) &&
               std::ranges::any_of(s.destinations,
                                   [&](const Destination& d) { return said.means(d); });
    });
    // What was said of a server that has gone meanwhile can still be taken back.
    if (!known && !(state == ManualState::up && manual.contains(key)))
        return fail(Errc::not_found,
                    key.service.empty()
                        ? fmt::format("no service has a server {}", key.server)
                        : fmt::format("service {} has no server {}", key.service, key.server));
    if (key.service.empty())  // said of all: exceptions end
        std::erase_if(manual, [&](const auto& entry) { return entry.first.server == key.server; });
    const bool held = !key.service.empty() && manual.contains({key.server, ""});
    if (state == ManualState::up && !held)
        manual.erase(key);
    else
        manual[key] = state;
    return manual;
}

std::string to_json(const Manual& manual) {
    json list = json::array();
    for (const auto& [key, state] : manual)
        list.push_back(
            {{"server", key.server}, {"service", key.service}, {"state", to_string(state)}});
    return list.dump() + '\n';
}

Result<Manual> manual_from_json(std::string_view text) {
    try {
        Manual manual;
        for (const json& entry : json::parse(text)) {
            const auto state = parse_manual_state(entry.at("state").get<std::string>());
            if (!state) return tl::unexpected(state.error());
            manual[{entry.at("server"), entry.at("service")}] = *state;
        }
        return manual;
    } catch (const json::exception& e) {
        return fail(Errc::invalid, e.what());
    }
}

Result<Manual> load_manual(const std::string& path) {
    const auto text = config::read_file(path);
    if (!text && text.error() == ENOENT) return Manual{};
    if (!text) return fail(Errc::io, fmt::format("{}: {}", path, std::strerror(text.error())));
    auto manual = manual_from_json(*text);
    if (!manual) return tl::unexpected(std::move(manual.error()).within(path));
    return manual;
}

Result<> store_manual(const std::string& path, const Manual& manual) {
    auto written = Replacement::write(path, to_json(manual));
    if (!written) return tl::unexpected(written.error());
    return written->commit(Replacement::Former::gone);
}

}  // namespace torii::control
