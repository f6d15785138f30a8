#include <fmt/format.h>

#include <algorithm>

#include "dataplane/shm/builder.h"
#include "dataplane/shm/services.h"

namespace torii::shm {
namespace {

std::string label(const ServiceRecord& r) {
    if (r.mark != 0) return fmt::format("mark {} {}", r.mark, r.address.is_v4() ? "IPv4" : "IPv6");
    return fmt::format("{} {}", to_string(r.protocol),
                       to_string(Endpoint{r.address, r.port.host()}));
}

// Enters the next service into the index; false when one like it is there.
bool take_place(std::vector<uint32_t>& index, std::span<const ServiceRecord> services,
                const ServiceRecord& r) {
    const auto mask = uint32_t(index.size() - 1);
    uint32_t at = mix(r) & mask;
    for (; index[at] != ~0u; at = (at + 1) & mask) {
        const ServiceRecord& other = services[index[at]];
        if (other.address == r.address && other.port == r.port && other.protocol == r.protocol &&
            other.mark == r.mark)
            return false;
    }
    index[at] = uint32_t(services.size());
    return true;
}

void add_vip(std::vector<Address>& vips, const Address& address) {
    uint32_t v = mix(address) & uint32_t(vips.size() - 1);
    while (vips[v] != Address{} && vips[v] != address) v = (v + 1) & uint32_t(vips.size() - 1);
    vips[v] = address;
}

// The index, the virtual addresses and the flags that follow from the services.
Result<> append_lookups(Builder& out, ServicesHeader& h, std::span<const ServiceRecord> services) {
    std::vector<uint32_t> index(index_size(services.size()), ~0u);
    std::vector<Address> vips(index_size(services.size()));
    for (size_t i = 0; i < services.size(); ++i) {
        const ServiceRecord& r = services[i];
        if (!take_place(index, services.first(i), r))
            return fail(Errc::exists, fmt::format("service {} is there twice", label(r)));
        if (r.mark == 0) add_vip(vips, r.address);
        if (r.mark != 0)
            h.flags |= kHasMarks;
        else if (r.port.raw() == 0)
            h.flags |= kHasPortZero;
    }
    h.service_index = out.append(index);
    h.vips = out.append(vips);
    return {};
}

Result<> check_backends(std::span<const BackendRecord> backends, size_t services) {
    for (size_t i = 0; i < backends.size(); ++i)
        if (backends[i].present && (backends[i].service >= services || !backends[i].generation))
            return fail(Errc::invalid, fmt::format("backend slot {} is malformed", i));
    return {};
}

Result<> append_sections(Builder& out, const ServiceDescription& s, ServiceRecord& r) {
    const size_t targets = s.targets.size() / s.target_size;
    for (uint32_t t : s.table)
        if (t != ~0u && t >= targets)
            return fail(Errc::invalid, "a scheduler table refers to no target");
    r.targets = out.append(s.targets.data(), s.target_size, targets);
    r.changes = out.append(s.changes.data(), s.change_size, s.changes.size() / s.change_size);
    r.table = out.append(s.table);
    r.consistent = out.append(s.consistent);
    r.name = out.append(s.name);
    return {};
}

Result<std::vector<std::byte>> finish(Builder& out, ServicesHeader& h, const ServicesRoot& root) {
    h.timeouts = root.timeouts;
    h.behaviour = root.behaviour;
    if (auto ok = check_backends(root.backends, root.services.size()); !ok)
        return tl::unexpected(ok.error());
    h.services = out.append(root.services);
    h.backends = out.append(root.backends);
    if (auto ok = append_lookups(out, h, root.services); !ok) return tl::unexpected(ok.error());
    h.marks = out.append(root.marks);
    h.pieces = out.append(root.pieces);
    if (out.too_large()) return fail(Errc::full, "the services generation exceeds 4 GiB");
    return out.finish(&h, sizeof h);
}

}  // namespace

Result<std::vector<std::byte>> build(const ServicesDescription& d) {
    Builder out(sizeof(ServicesHeader));
    ServicesHeader h{};
    h.generation = d.generation;
    std::vector<ServiceRecord> services;
    for (const ServiceDescription& s : d.services) {
        services.push_back(s.record);
        if (auto ok = append_sections(out, s, services.back()); !ok)
            return tl::unexpected(ok.error());
    }
    std::vector<BackendRecord> backends;
    for (const BackendDescription& b : d.backends) {
        BackendRecord r = b.record;
        if (r.present && r.service < services.size()) r.protocol = services[r.service].protocol;
        r.name = out.append(b.name);
        backends.push_back(r);
    }
    return finish(out, h, {d.timeouts, d.behaviour, d.marks, services, backends, {}});
}

Result<std::vector<std::byte>> build(const ServicesRoot& root) {
    Builder out(sizeof(ServicesHeader));
    constexpr size_t kLookups = 64;  // bytes a service, about
    out.reserve(sizeof(ServicesHeader) + root.services.size() * (sizeof(ServiceRecord) + kLookups) +
                root.backends.size_bytes() + root.marks.size_bytes() + root.pieces.size_bytes() +
                4096);
    ServicesHeader h{};
    return finish(out, h, root);
}

Result<Part> part_of(const ServiceDescription& s, std::span<const std::string_view> names) {
    Builder out(0);
    Part part{s.record, {}, {}};
    if (auto ok = append_sections(out, s, part.record); !ok) return tl::unexpected(ok.error());
    part.names.reserve(names.size());
    for (const std::string_view name : names) part.names.push_back(out.append(name));
    part.bytes = out.finish();
    return part;
}

void move_sections(ServiceRecord& r, uint32_t offset) {
    for (Section* s : {&r.targets, &r.changes, &r.table, &r.consistent, &r.name})
        *s = moved(*s, offset);
}

}  // namespace torii::shm
