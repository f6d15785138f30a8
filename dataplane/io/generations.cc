#include "dataplane/io/generations.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <filesystem>
#include <iterator>

#include "dataplane/io/steered.h"

namespace torii::io {
namespace {

using Part = Generation::Part;

constexpr uint32_t kNoStamp = ~0u;  // of the empty generation; a published one is never it

// Connections remember next hops with this number, over restarts too: so it is the generation's.
uint32_t stamp_of(uint64_t number) {
    if (number == 0) return kNoStamp;
    const auto stamp = uint32_t(number);
    return stamp == 0 || stamp == kNoStamp ? 1 : stamp;
}

Result<std::unique_ptr<stages::View>> view_of(const Part& services, const Part& routes) {
    const auto s = shm::Services::view(services.bytes());
    if (!s) return tl::unexpected(s.error());
    const auto r = shm::Routes::view(routes.bytes());
    if (!r) return tl::unexpected(r.error());
    return stages::View::make(*s, *r, stamp_of(routes.number));
}

}  // namespace

struct Generations::Kind {
    std::string_view name;
    shm::Kind kind;
    uint64_t layout;
    decltype(&shm::ControlBlock::services_generation) published;
};

std::span<const std::byte> Part::bytes() const {
    if (mapping) return {mapping.data(), mapping.size()};
    return built;
}

Result<Generation> Generations::empty() {
    auto services = shm::build(shm::ServicesDescription{});
    if (!services) return tl::unexpected(services.error());
    auto routes = shm::build(shm::RoutesDescription{});
    if (!routes) return tl::unexpected(routes.error());
    auto s = std::make_shared<Part>(), r = std::make_shared<Part>();
    s->built = std::move(*services);
    r->built = std::move(*routes);
    auto view = view_of(*s, *r);
    if (!view) return tl::unexpected(view.error());
    return Generation{std::move(s), std::move(r), std::move(*view)};
}

Result<std::shared_ptr<const Part>> Generations::load(const Kind& kind, uint64_t number) const {
    const std::string path = location_.generation(kind.name, number);
    auto mapping = shm::Mapping::open(path, shm::Mapping::Access::read_only);
    if (!mapping) return tl::unexpected(mapping.error());
    if (auto ok = shm::verify(*mapping, kind.kind, kind.layout, path, true); !ok)
        return tl::unexpected(ok.error());
    auto part = std::make_shared<Part>();
    part->number = number;
    part->mapping = std::move(*mapping);
    return part;
}

void Generations::refuse(uint64_t number, uint64_t& refused, const Error& error,
                         std::string& complaint) {
    refused = number;
    control_.refused_generation.store(number, std::memory_order_release);
    complaint = error.message;
}

std::shared_ptr<const Part> Generations::newer(const Kind& kind,
                                               const std::shared_ptr<const Part>& current,
                                               uint64_t& refused, std::string& complaint) {
    // Between the number and the file another generation may have taken its place: look again.
    for (int tries = 0; tries < 8; ++tries) {
        const uint64_t number = (control_.*kind.published).load(std::memory_order_acquire);
        if (number == 0 || number == current->number || number == refused) return current;
        auto part = load(kind, number);
        if (part) return *part;
        if ((control_.*kind.published).load(std::memory_order_acquire) != number) continue;
        refuse(number, refused, part.error(), complaint);
    }
    return current;
}

std::optional<Generation> Generations::next(const Generation& current, std::string& complaint) {
    static constexpr Kind kServices{"services", shm::Kind::services, shm::kServicesLayout,
                                    &shm::ControlBlock::services_generation};
    static constexpr Kind kRoutes{"routes", shm::Kind::routes, shm::kRoutesLayout,
                                  &shm::ControlBlock::routes_generation};
    Generation g;
    g.services = newer(kServices, current.services, refused_services_, complaint);
    g.routes = newer(kRoutes, current.routes, refused_routes_, complaint);
    if (g.services == current.services && g.routes == current.routes) return std::nullopt;
    auto view = view_of(*g.services, *g.routes);
    if (!view) {
        // Whole files with contents that do not fit: the pair is refused.
        if (g.services != current.services)
            refuse(g.services->number, refused_services_, view.error(), complaint);
        if (g.routes != current.routes)
            refuse(g.routes->number, refused_routes_, view.error(), complaint);
        return std::nullopt;
    }
    g.view = std::move(*view);
    return g;
}

void Generations::remove_older(const Generation& current) const {
    std::error_code error;
    for (const auto& file : std::filesystem::directory_iterator(location_.directory, error)) {
        const std::string name = file.path().filename().string();
        const size_t dot = name.find('.');
        if (dot == name.npos) continue;
        const std::string_view kind(name.data(), dot), digits(name.data() + dot + 1);
        uint64_t number = 0;
        const auto end = digits.data() + digits.size();
        if (std::from_chars(digits.data(), end, number).ptr != end) continue;
        const uint64_t in_force = kind == "services" ? current.services->number
                                  : kind == "routes" ? current.routes->number
                                                     : 0;
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
        set.vips.push_back(s.address);
    }
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
        std::ranges::sort(*list);
        list->erase(std::ranges::unique(*list).begin(), list->end());
    }
    return set;
}

xdp::SteeringSet merged(const xdp::SteeringSet& a, const xdp::SteeringSet& b) {
    xdp::SteeringSet set = a;
    const auto add = [](auto& to, const auto& from) {
        to.insert(to.end(), from.begin(), from.end());
        std::ranges::sort(to);
        to.erase(std::ranges::unique(to).begin(), to.end());
    };
    add(set.services, b.services);
    add(set.vips, b.vips);
    add(set.locals, b.locals);
    add(set.backends, b.backends);
    add(set.tunnels, b.tunnels);
    set.marks = taken_by_either(a.marks, b.marks);
    return set;
}

bool same(const xdp::SteeringSet& a, const xdp::SteeringSet& b) {
    return a.services == b.services && a.vips == b.vips && a.locals == b.locals &&
           a.backends == b.backends && a.marks == b.marks && a.tunnels == b.tunnels;
}

}  // namespace torii::io
