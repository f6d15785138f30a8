#include "dataplane/shm/services.h"

#include <fmt/format.h>

#include <algorithm>

#include "dataplane/shm/builder.h"

namespace torii::shm {
namespace {

tl::unexpected<Error> refuse(std::string why) {
    return fail(Errc::layout, "services generation: " + std::move(why));
}

// One record's own sections. Element sizes of targets and changes are checked by
// stages::View::make, which knows the types.
Result<> check_service(const Services& s, const ServiceRecord& r, size_t i, uint64_t size) {
    if (!inside<uint32_t>(r.table, size) || !inside<uint32_t>(r.consistent, size) ||
        !inside<char>(r.name, size) || r.targets.offset > size || r.changes.offset > size)
        return refuse(fmt::format("service {} refers outside the file", i));
    if (std::find(std::begin(r.scheduler), std::end(r.scheduler), '\0') == std::end(r.scheduler))
        return refuse(fmt::format("service {} has an unterminated scheduler name", i));
    if (std::find(std::begin(r.pe), std::end(r.pe), '\0') == std::end(r.pe))
        return refuse(fmt::format("service {} has an unterminated engine name", i));
    if (r.mark == 0 && r.address.is_unspecified())
        return refuse(fmt::format("service {} has neither address nor mark", i));
    if (r.address.family() == Family::ipv6 && r.persistence_mask > 128)
        return refuse(fmt::format("service {} has a bad persistence mask", i));
    for (uint32_t t : s.section<uint32_t>(r.table))
        if (t != ~0u && t >= r.targets.count)
            return refuse(fmt::format("service {} has a bad table", i));
    for (uint32_t t : s.section<uint32_t>(r.consistent))
        if (t != ~0u && t >= r.targets.count)
            return refuse(fmt::format("service {} has a bad table", i));
    return {};
}

Result<> check_indices(const Services& s) {
    size_t used = 0;
    for (uint32_t i : s.service_index) {
        if (i == ~0u) continue;
        if (i >= s.services.size()) return refuse("service index out of range");
        ++used;
    }
    if (used != s.services.size() || used * 2 > s.service_index.size())
        return refuse("bad service index");
    const auto vips = size_t(std::count_if(s.vips.begin(), s.vips.end(),
                                           [](const Address& a) { return a != Address{}; }));
    if (vips * 2 > s.vips.size()) return refuse("bad address index");
    return {};
}

std::string label(const ServiceRecord& r) {
    if (r.mark != 0) return fmt::format("mark {} {}", r.mark, r.address.is_v4() ? "IPv4" : "IPv6");
    return fmt::format("{} {}", to_string(r.protocol),
                       to_string(Endpoint{r.address, r.port.host()}));
}

// Enters the next service into the index; false when one like it is there.
bool take_place(std::vector<uint32_t>& index, const std::vector<ServiceRecord>& services,
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

}  // namespace

Result<Services> Services::view(std::span<const std::byte> object) {
    const uint64_t size = object.size();
    if (size < sizeof(ServicesHeader)) return refuse("truncated");
    Services s;
    s.header = reinterpret_cast<const ServicesHeader*>(object.data());
    const ServicesHeader& h = *s.header;
    if (!inside<ServiceRecord>(h.services, size) || !inside<BackendRecord>(h.backends, size) ||
        !inside<uint32_t>(h.service_index, size) || !inside<Address>(h.vips, size) ||
        !inside<MarkRecord>(h.marks, size))
        return refuse("a section lies outside the file");
    if (!is_index_size(h.service_index.count) || !is_index_size(h.vips.count))
        return refuse("bad index size");
    s.services = s.section<ServiceRecord>(h.services);
    s.backends = s.section<BackendRecord>(h.backends);
    s.service_index = s.section<uint32_t>(h.service_index);
    s.vips = s.section<Address>(h.vips);
    s.marks = s.section<MarkRecord>(h.marks);
    if (auto ok = check_indices(s); !ok) return tl::unexpected(ok.error());
    for (size_t i = 0; i < s.services.size(); ++i)
        if (auto ok = check_service(s, s.services[i], i, size); !ok)
            return tl::unexpected(ok.error());
    for (size_t i = 0; i < s.backends.size(); ++i) {
        const BackendRecord& b = s.backends[i];
        if (!b.present) continue;
        if (b.service >= s.services.size() || b.generation == 0 || uint8_t(b.forward) > 3 ||
            b.protocol != s.services[b.service].protocol || !inside<char>(b.name, size) ||
            uint8_t(b.tunnel.type) > 2 || uint8_t(b.tunnel.checksum) > 2)
            return refuse(fmt::format("backend {} is malformed", i));
    }
    return s;
}

Result<std::vector<std::byte>> build(const ServicesDescription& d) {
    Builder out(sizeof(ServicesHeader));
    ServicesHeader h{};
    h.generation = d.generation;
    h.timeouts = d.timeouts;
    h.behaviour = d.behaviour;

    std::vector<ServiceRecord> services;
    std::vector<uint32_t> index(index_size(d.services.size()), ~0u);
    std::vector<Address> vips(index_size(d.services.size()));
    for (const ServiceDescription& s : d.services) {
        ServiceRecord r = s.record;
        if (!take_place(index, services, r))
            return fail(Errc::exists, fmt::format("service {} is there twice", label(r)));
        if (r.mark == 0) add_vip(vips, r.address);
        if (r.mark != 0)
            h.flags |= kHasMarks;
        else if (r.port.raw() == 0)
            h.flags |= kHasPortZero;

        const size_t targets = s.targets.size() / s.target_size;
        for (uint32_t t : s.table)
            if (t != ~0u && t >= targets)
                return fail(Errc::invalid, "a scheduler table refers to no target");
        r.targets = out.append(s.targets.data(), s.target_size, targets);
        r.changes = out.append(s.changes.data(), s.change_size, s.changes.size() / s.change_size);
        r.table = out.append(s.table);
        r.consistent = out.append(s.consistent);
        r.name = out.append(s.name);
        services.push_back(r);
    }
    std::vector<BackendRecord> backends;
    for (const BackendDescription& b : d.backends) {
        BackendRecord r = b.record;
        if (r.present && (r.service >= services.size() || r.generation == 0))
            return fail(Errc::invalid,
                        fmt::format("backend slot {} is malformed", backends.size()));
        if (r.present) r.protocol = services[r.service].protocol;
        r.name = out.append(b.name);
        backends.push_back(r);
    }
    h.services = out.append(services);
    h.backends = out.append(backends);
    h.service_index = out.append(index);
    h.vips = out.append(vips);
    h.marks = out.append(d.marks);
    if (out.too_large()) return fail(Errc::full, "the services generation exceeds 4 GiB");
    return out.finish(&h, sizeof h);
}

}  // namespace torii::shm
