#include "dataplane/shm/services.h"

#include <fmt/format.h>

#include <algorithm>

#include "dataplane/shm/builder.h"

namespace torii::shm {
namespace {

tl::unexpected<Error> refuse(std::string why) {
    return fail(Errc::layout, "services generation: " + std::move(why));
}

// Whether every index of a service's tables names one of its targets.
bool tables_fit(const Services& s, const ServiceRecord& r) {
    const auto fits = [&](std::span<const uint32_t> table) {
        return std::ranges::all_of(table,
                                   [&](uint32_t t) { return t == ~0u || t < r.targets.count; });
    };
    return fits(s.section<uint32_t>(r, r.table)) && fits(s.section<uint32_t>(r, r.consistent));
}

// Whether another generation, whose tables fit, has the very same ones in the same place.
bool shares_tables(const Services& s, const ServiceRecord& r, size_t i, const Services* checked) {
    if (checked == nullptr || i >= checked->services.size() || r.piece == 0) return false;
    const ServiceRecord& c = checked->services[i];
    return s.places[r.piece].data() == checked->places[c.piece].data() && r.part == c.part &&
           r.targets == c.targets && r.table == c.table && r.consistent == c.consistent;
}

// One record's own sections. Element sizes of targets and changes are checked by
// stages::View::make, which knows the types.
Result<> check_service(const Services& s, const ServiceRecord& r, size_t i,
                       const Services* checked) {
    if (r.piece >= s.places.size())
        return refuse(fmt::format("service {} lies in a piece that is not there", i));
    const uint64_t size = s.places[r.piece].size();
    if (!inside<uint32_t>(r.table, size) || !inside<uint32_t>(r.consistent, size) ||
        !inside<char>(r.name, size) || r.targets.offset > size || r.changes.offset > size ||
        (r.piece != 0 && !inside<std::byte>(r.part, size)))
        return refuse(fmt::format("service {} refers outside the file", i));
    if (std::find(std::begin(r.scheduler), std::end(r.scheduler), '\0') == std::end(r.scheduler))
        return refuse(fmt::format("service {} has an unterminated scheduler name", i));
    if (std::find(std::begin(r.pe), std::end(r.pe), '\0') == std::end(r.pe))
        return refuse(fmt::format("service {} has an unterminated engine name", i));
    if (r.mark == 0 && r.address.is_unspecified())
        return refuse(fmt::format("service {} has neither address nor mark", i));
    if (r.address.family() == Family::ipv6 && r.persistence_mask > 128)
        return refuse(fmt::format("service {} has a bad persistence mask", i));
    if (!shares_tables(s, r, i, checked) && !tables_fit(s, r))
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

Result<Services> Services::view(Bytes object, std::span<const Bytes> pieces,
                                const Services* checked) {
    const uint64_t size = object.size();
    if (size < sizeof(ServicesHeader)) return refuse("truncated");
    Services s;
    s.header = reinterpret_cast<const ServicesHeader*>(object.data());
    const ServicesHeader& h = *s.header;
    if (!inside<ServiceRecord>(h.services, size) || !inside<BackendRecord>(h.backends, size) ||
        !inside<uint32_t>(h.service_index, size) || !inside<Address>(h.vips, size) ||
        !inside<MarkRecord>(h.marks, size) || !inside<uint64_t>(h.pieces, size))
        return refuse("a section lies outside the file");
    if (!is_index_size(h.service_index.count) || !is_index_size(h.vips.count))
        return refuse("bad index size");
    s.services = s.section<ServiceRecord>(h.services);
    s.backends = s.section<BackendRecord>(h.backends);
    s.service_index = s.section<uint32_t>(h.service_index);
    s.vips = s.section<Address>(h.vips);
    s.marks = s.section<MarkRecord>(h.marks);
    s.pieces = s.section<uint64_t>(h.pieces);
    if (s.pieces.size() != pieces.size()) return refuse("other pieces than it names");
    s.places.push_back(object);
    s.places.insert(s.places.end(), pieces.begin(), pieces.end());
    if (auto ok = check_indices(s); !ok) return tl::unexpected(ok.error());
    for (size_t i = 0; i < s.services.size(); ++i)
        if (auto ok = check_service(s, s.services[i], i, checked); !ok)
            return tl::unexpected(ok.error());
    for (size_t i = 0; i < s.backends.size(); ++i) {
        const BackendRecord& b = s.backends[i];
        if (!b.present) continue;
        if (b.service >= s.services.size() || b.generation == 0 || uint8_t(b.forward) > 3 ||
            b.protocol != s.services[b.service].protocol ||
            !inside<char>(b.name, s.places[s.services[b.service].piece].size()) ||
            uint8_t(b.tunnel.type) > 2 || uint8_t(b.tunnel.checksum) > 2)
            return refuse(fmt::format("backend {} is malformed", i));
    }
    return s;
}

}  // namespace torii::shm
