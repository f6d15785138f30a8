#include "dataplane/io/generations.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <filesystem>
#include <iterator>

#include "dataplane/io/steered.h"

namespace torii::io {
namespace {

constexpr uint32_t kNoStamp = ~0u;  // of the empty generation; a published one is never it

// Connections remember next hops with this number, over restarts too: so it is the generation's.
uint32_t stamp_of(uint64_t number) {
    if (number == 0) return kNoStamp;
    const auto stamp = uint32_t(number);
    return stamp == 0 || stamp == kNoStamp ? 1 : stamp;
}

using Routes = Generation::Routes;

Result<std::unique_ptr<stages::View>> view_of(const shm::ServicesFile& services,
                                              const Routes& routes,
                                              const stages::View* before = nullptr) {
    const auto s = services.view(before ? &before->services : nullptr);
    if (!s) return tl::unexpected(s.error());
    const auto r = shm::Routes::view(routes.bytes());
    if (!r) return tl::unexpected(r.error());
    return stages::View::make(*s, *r, stamp_of(routes.number), before);
}

Result<std::shared_ptr<const Routes>> open_routes(const shm::Location& location, uint64_t number) {
    const std::string path = location.generation("routes", number);
    auto mapping = shm::Mapping::open(path, shm::Mapping::Access::read_only);
    if (!mapping) return tl::unexpected(mapping.error());
    if (auto ok = shm::verify(*mapping, shm::Kind::routes, shm::kRoutesLayout, path, true); !ok)
        return tl::unexpected(ok.error());
    auto routes = std::make_shared<Routes>();
    routes->number = number;
    routes->mapping = std::move(*mapping);
    return routes;
}

}  // namespace

std::span<const std::byte> Routes::bytes() const {
    if (mapping) return {mapping.data(), mapping.size()};
    return built;
}

Result<Generation> Generations::empty() {
    auto services = shm::build(shm::ServicesDescription{});
    if (!services) return tl::unexpected(services.error());
    auto routes = shm::build(shm::RoutesDescription{});
    if (!routes) return tl::unexpected(routes.error());
    Generation g;
    g.services = shm::ServicesFile::of(std::move(*services));
    auto r = std::make_shared<Routes>();
    r->built = std::move(*routes);
    g.routes = std::move(r);
    auto view = view_of(g.services, *g.routes);
    if (!view) return tl::unexpected(view.error());
    g.view = std::move(*view);
    return g;
}

void Generations::refuse(uint64_t number, uint64_t& refused, const Error& error,
                         std::string& complaint) {
    refused = number;
    control_.refused_generation.store(number, std::memory_order_release);
    complaint = error.message;
}

// What `load` makes of the number that is published, or nothing when there is none that is new.
template <class Published, class Load>
auto Generations::newer(const Published& published, uint64_t current, uint64_t& refused,
                        std::string& complaint, Load load) {
    std::optional<std::decay_t<decltype(*load(0))>> none;
    // Between the number and the file another generation may have taken its place: look again.
    for (int tries = 0; tries < 8; ++tries) {
        const uint64_t number = published.load(std::memory_order_acquire);
        if (number == 0 || number == current || number == refused) return none;
        auto loaded = load(number);
        if (loaded) return decltype(none)(std::move(*loaded));
        if (published.load(std::memory_order_acquire) != number) continue;
        refuse(number, refused, loaded.error(), complaint);
    }
    return none;
}

std::optional<Generation> Generations::next(const Generation& current, std::string& complaint) {
    auto services = newer(control_.services_generation, current.services.number(),
                          refused_services_, complaint, [&](uint64_t number) {
                              return shm::ServicesFile::open(location_, number, &current.services);
                          });
    auto routes = newer(control_.routes_generation, current.routes->number, refused_routes_,
                        complaint, [&](uint64_t number) { return open_routes(location_, number); });
    if (!services && !routes) return std::nullopt;
    Generation g;
    g.services = services ? std::move(*services) : current.services;
    g.routes = routes ? std::move(*routes) : current.routes;
    auto view = view_of(g.services, *g.routes, current.view.get());
    if (!view) {
        // Whole files with contents that do not fit: the pair is refused.
        if (services) refuse(g.services.number(), refused_services_, view.error(), complaint);
        if (routes) refuse(g.routes->number, refused_routes_, view.error(), complaint);
        return std::nullopt;
    }
    g.view = std::move(*view);
    return g;
}

// A piece that the generation in force does not name is named by no later one either.
void Generations::remove_older(const Generation& current) const {
    const std::vector<uint64_t> pieces = shm::pieces_of(current.services.bytes());
    std::error_code error;
    for (const auto& file : std::filesystem::directory_iterator(location_.directory, error)) {
        const std::string name = file.path().filename().string();
        const size_t dot = name.find('.');
        if (dot == name.npos) continue;
        const std::string_view kind(name.data(), dot), digits(name.data() + dot + 1);
        uint64_t number = 0;
        const auto end = digits.data() + digits.size();
        if (std::from_chars(digits.data(), end, number).ptr != end) continue;
        const uint64_t in_force = kind == "services" || kind == "pieces" ? current.services.number()
                                  : kind == "routes"                     ? current.routes->number
                                                                         : 0;
        if (kind == "pieces" && std::ranges::find(pieces, number) != pieces.end()) continue;
        if (number < in_force) std::filesystem::remove(file.path(), error);
    }
}

std::vector<uint32_t> leavers(const stages::View& view, const shm::Counters& counters) {
    std::vector<uint32_t> slots;
    const size_t end = std::min<size_t>(view.services.backends.size(), counters.backend_slots());
    for (uint32_t i = 0; i < end; ++i) {
        const shm::BackendRecord& b = view.services.backends[i];
        if (b.present || b.generation == 0 || b.forward != shm::Forward::nat) continue;
        uint64_t connections = 0;  // the shares of the workers wrap around, their sum does not
        for (uint32_t w = 0; w < counters.workers(); ++w) {
            const shm::Row& row = counters.backends(w)[i];
            connections += row.active.get() + row.inactive.get();
        }
        if (connections != 0) slots.push_back(i);
    }
    return slots;
}

std::vector<uint32_t> either_of(const std::vector<uint32_t>& a, const std::vector<uint32_t>& b) {
    std::vector<uint32_t> slots;
    std::ranges::set_union(a, b, std::back_inserter(slots));
    return slots;
}

xdp::SteeringSet steering_of(const stages::View& view, std::span<const uint32_t> leavers) {
    xdp::SteeringSet set;
    for (const shm::ServiceRecord& s : view.services.services) {
        if (s.mark != 0) continue;  // see marked_blocks()
        set.services.push_back({s.address, s.port.host(), s.protocol});
        if (takes_ftp_data(s)) set.services.push_back({s.address, 0, s.protocol});
        set.vips.push_back(s.address);
    }
    set.backends.reserve(view.services.backends.size());
    for (const shm::BackendRecord& b : view.services.backends) {
        if (b.present && b.forward == shm::Forward::nat) add_reply_keys(b, set.backends);
    }
    for (const uint32_t i : leavers) add_reply_keys(view.services.backends[i], set.backends);
    set.marks = marked_blocks(view);
    set.tunnels = tunnel_keys(view);
    for (const shm::LocalRecord& l : view.routes.locals)
        if (l.address != Address{} && !view.services.is_vip(l.address))
            set.locals.push_back(l.address);
    for (auto* list : {&set.vips, &set.locals}) {
        std::ranges::sort(*list);
        list->erase(std::ranges::unique(*list).begin(), list->end());
    }
    for (auto* list : {&set.services, &set.backends}) {
        if (!std::ranges::is_sorted(*list)) std::ranges::sort(*list);  // slots are often in order
        list->erase(std::ranges::unique(*list).begin(), list->end());
    }
    return set;
}

xdp::SteeringSet merged(const xdp::SteeringSet& a, const xdp::SteeringSet& b) {
    xdp::SteeringSet set;
    const auto unite = [&](auto list) {
        std::ranges::set_union(a.*list, b.*list, std::back_inserter(set.*list));
    };
    unite(&xdp::SteeringSet::services);
    unite(&xdp::SteeringSet::vips);
    unite(&xdp::SteeringSet::locals);
    unite(&xdp::SteeringSet::backends);
    unite(&xdp::SteeringSet::tunnels);
    set.marks = taken_by_either(a.marks, b.marks);
    set.macs = a.macs;
    return set;
}

bool same(const xdp::SteeringSet& a, const xdp::SteeringSet& b) {
    return a.services == b.services && a.vips == b.vips && a.locals == b.locals &&
           a.backends == b.backends && a.marks == b.marks && a.tunnels == b.tunnels;
}

}  // namespace torii::io
