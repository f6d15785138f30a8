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

}  // namespace

Result<Services> Services::view(std::span<const std::byte> object) {
    const uint64_t size = object.size();
    if (size < sizeof(ServicesHeader)) return refuse("truncated");
    Services s;
    s.header = reinterpret_cast<const ServicesHeader*>(object.data());
    const ServicesHeader& h = *s.header;
    if (!inside<ServiceRecord>(h.services, size) || !inside<BackendRecord>(h.backends, size) ||
        !inside<uint32_t>(h.service_index, size) || !inside<Address>(h.vips, size))
        return refuse("a section lies outside the file");
    if (!is_index_size(h.service_index.count) || !is_index_size(h.vips.count))
        return refuse("bad index size");
    s.services = s.section<ServiceRecord>(h.services);
    s.backends = s.section<BackendRecord>(h.backends);
    s.service_index = s.section<uint32_t>(h.service_index);
    s.vips = s.section<Address>(h.vips);
    if (auto ok = check_indices(s); !ok) return tl::unexpected(ok.error());
    for (size_t i = 0; i < s.services.size(); ++i)
        if (auto ok = check_service(s, s.services[i], i, size); !ok)
            return tl::unexpected(ok.error());
    for (size_t i = 0; i < s.backends.size(); ++i) {
        const BackendRecord& b = s.backends[i];
        if (!b.present) continue;
        if (b.service >= s.services.size() || b.generation == 0 || uint8_t(b.forward) > 3 ||
            b.protocol != s.services[b.service].protocol || !inside<char>(b.name, size))
            return refuse(fmt::format("backend {} is malformed", i));
    }
    return s;
}

Result<std::vector<std::byte>> build(const ServicesDescription& d) {
    Builder out(sizeof(ServicesHeader));
    ServicesHeader h{};
    h.generation = d.generation;
    h.timeouts = d.timeouts;

    std::vector<ServiceRecord> services;
    std::vector<uint32_t> index(index_size(d.services.size()), ~0u);
    std::vector<Address> vips(index_size(d.services.size()));
    for (const ServiceDescription& s : d.services) {
        ServiceRecord r = s.record;
        uint32_t at =
            mix(r.address, r.port.raw(), uint8_t(r.protocol)) & uint32_t(index.size() - 1);
        for (; index[at] != ~0u; at = (at + 1) & uint32_t(index.size() - 1)) {
            const ServiceRecord& other = services[index[at]];
            if (other.address == r.address && other.port == r.port && other.protocol == r.protocol)
                return fail(Errc::exists,
                            fmt::format("service {} {} is there twice", to_string(r.protocol),
                                        to_string(Endpoint{r.address, r.port.host()})));
        }
        index[at] = uint32_t(services.size());
        uint32_t v = mix(r.address) & uint32_t(vips.size() - 1);
        while (vips[v] != Address{} && vips[v] != r.address)
            v = (v + 1) & uint32_t(vips.size() - 1);
        vips[v] = r.address;

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
    if (out.too_large()) return fail(Errc::full, "the services generation exceeds 4 GiB");
    return out.finish(&h, sizeof h);
}

}  // namespace torii::shm
