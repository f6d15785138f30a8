// The maps of an attached program: found through its id, filled, and cleared of what is stale.

#include <arpa/inet.h>
#include <fmt/format.h>

#include <algorithm>
#include <cerrno>
#include <cstring>

#include "dataplane/xdp/kernel.h"

namespace torii::xdp {
namespace {

template <class Key>
bool before(const Key& a, const Key& b) {
    return std::memcmp(&a, &b, sizeof(Key)) < 0;
}

template <class Key>
void sort_unique(std::vector<Key>& keys) {
    std::sort(keys.begin(), keys.end(), before<Key>);
    const auto same = [](const Key& a, const Key& b) {
        return std::memcmp(&a, &b, sizeof(Key)) == 0;
    };
    keys.erase(std::unique(keys.begin(), keys.end(), same), keys.end());
}

torii_address_key address_key(const Address& a) {
    torii_address_key k{};
    std::memcpy(k.bytes, a.bytes.data(), sizeof(k.bytes));
    return k;
}

torii_service_key service_key(const ServiceKey& s) {
    torii_service_key k{};
    std::memcpy(k.address, s.address.bytes.data(), sizeof(k.address));
    k.port = htons(s.port);
    k.protocol = static_cast<uint8_t>(s.protocol);
    return k;
}

// IPv4 lies at the end of 16 bytes, so that its prefixes are 96 bits longer.
torii_block_key block_key(const Prefix& p) {
    torii_block_key k{};
    const Prefix block = p.masked();
    k.length = block.length + (block.address.is_v4() ? 96u : 0u);
    std::memcpy(k.address, block.address.bytes.data(), sizeof(k.address));
    return k;
}

torii_mark_value mark_value(const MarkedBlock& block) {
    torii_mark_value v{};
    if (block.ports.size() > TORII_MAX_MARK_RANGES) {
        v.count = 1;
        v.ranges[0] = {0, 65535, 0, 1, {}};
        return v;
    }
    for (const MarkedPorts& p : block.ports)
        v.ranges[v.count++] = {p.first, p.last, static_cast<uint8_t>(p.protocol), p.take, {}};
    return v;
}
static_assert(kMaxMarkedPorts == TORII_MAX_MARK_RANGES);

constexpr uint8_t kPresent = 1;

template <class Key, class ValueOf>
Result<> add(const Fd& map, const std::vector<Key>& keys, const char* name, ValueOf value_of) {
    for (size_t i = 0; i < keys.size(); ++i) {
        if (bpf_map_update_elem(map.get(), &keys[i], value_of(i), BPF_ANY) == 0) continue;
        // A hash says E2BIG, a trie ENOSPC.
        if (errno == E2BIG || errno == ENOSPC)
            return fail(Errc::full,
                        fmt::format("map {} is full: {} keys are wanted", name, keys.size()));
        return fail_errno(fmt::format("map {}", name), errno);
    }
    return {};
}
template <class Key>
Result<> add(const Fd& map, const std::vector<Key>& keys, const char* name) {
    return add(map, keys, name, [](size_t) { return &kPresent; });
}

template <class Key>
Result<> erase(const Fd& map, const std::vector<Key>& keys, const char* name) {
    for (const Key& k : keys)
        if (bpf_map_delete_elem(map.get(), &k) != 0 && errno != ENOENT)
            return fail_errno(fmt::format("map {}", name), errno);
    return {};
}

template <class Key>
Result<> remove_but(const Fd& map, const std::vector<Key>& keys, const char* name) {
    std::vector<Key> stale;
    Key k{};
    const void* previous = nullptr;
    while (bpf_map_get_next_key(map.get(), previous, &k) == 0) {
        if (!std::binary_search(keys.begin(), keys.end(), k, before<Key>)) stale.push_back(k);
        previous = &k;
    }
    if (errno != ENOENT) return fail_errno(fmt::format("map {}", name), errno);
    return erase(map, stale, name);
}

// Services first, which puts them out of force; the host's own addresses last.
template <class Remove>
Result<> in_order_of_removal(const MapSet& maps, const Keys& keys, Remove remove) {
    if (auto r = remove(maps.services, keys.services, "services"); !r) return r;
    if (auto r = remove(maps.vips, keys.vips, "vips"); !r) return r;
    if (auto r = remove(maps.marks, keys.marks, "marks"); !r) return r;
    if (auto r = remove(maps.tunnels, keys.tunnels, "tunnels"); !r) return r;
    if (auto r = remove(maps.backends, keys.backends, "backends"); !r) return r;
    if (auto r = remove(maps.backend_addrs, keys.backend_addrs, "backend_addrs"); !r) return r;
    if (auto r = remove(maps.macs, keys.macs, "macs"); !r) return r;
    return remove(maps.locals, keys.locals, "locals");
}

struct MapRow {
    const char* name;
    Fd MapSet::*fd;
    uint32_t key_size;
};

constexpr MapRow kMaps[] = {
    {"vips", &MapSet::vips, sizeof(torii_address_key)},
    {"services", &MapSet::services, sizeof(torii_service_key)},
    {"locals", &MapSet::locals, sizeof(torii_address_key)},
    {"backends", &MapSet::backends, sizeof(torii_service_key)},
    {"backend_addrs", &MapSet::backend_addrs, sizeof(torii_address_key)},
    {"macs", &MapSet::macs, sizeof(torii_mac_key)},
    {"marks", &MapSet::marks, sizeof(torii_block_key)},
    {"tunnels", &MapSet::tunnels, sizeof(torii_service_key)},
    {"xsks_map", &MapSet::xsks, sizeof(uint32_t)},
};

}  // namespace

Result<MapSet> maps_of(int program_fd) {
    uint32_t ids[16] = {};
    bpf_prog_info info{};
    info.nr_map_ids = std::size(ids);
    info.map_ids = reinterpret_cast<uintptr_t>(ids);
    uint32_t size = sizeof(info);
    if (bpf_obj_get_info_by_fd(program_fd, &info, &size) != 0)
        return fail_errno("maps of a BPF program", errno);
    MapSet set;
    for (uint32_t i = 0; i < std::min<uint32_t>(info.nr_map_ids, std::size(ids)); ++i) {
        Fd fd(bpf_map_get_fd_by_id(ids[i]));
        if (!fd.valid()) return fail_errno(fmt::format("BPF map {}", ids[i]), errno);
        bpf_map_info map{};
        size = sizeof(map);
        if (bpf_obj_get_info_by_fd(fd.get(), &map, &size) != 0)
            return fail_errno(fmt::format("BPF map {}", ids[i]), errno);
        for (const MapRow& row : kMaps)
            if (map.name == std::string_view(row.name) && map.key_size == row.key_size)
                set.*row.fd = std::move(fd);
    }
    for (const MapRow& row : kMaps)
        if (!(set.*row.fd).valid() && (row.fd != &MapSet::xsks || info.name == kXdpName))
            return fail(Errc::layout,
                        fmt::format("the attached program {} is of another torii release: it has "
                                    "no map {} of this layout; detach it first",
                                    info.name, row.name));
    return set;
}

Keys keys_of(const SteeringSet& set) {
    Keys k;
    for (const Address& a : set.vips) k.vips.push_back(address_key(a));
    for (const Address& a : set.locals) k.locals.push_back(address_key(a));
    for (const ServiceKey& s : set.services) k.services.push_back(service_key(s));
    for (const ServiceKey& s : set.backends) {
        k.backends.push_back(service_key(s));
        k.backend_addrs.push_back(address_key(s.address));
    }
    for (const Mac& m : set.macs) {
        torii_mac_key key{};
        std::memcpy(key.bytes, m.bytes.data(), sizeof(key.bytes));
        k.macs.push_back(key);
    }
    if (set.macs.empty()) k.macs.push_back({});
    for (const ServiceKey& s : set.tunnels) k.tunnels.push_back(service_key(s));
    std::vector<std::pair<torii_block_key, const MarkedBlock*>> blocks;
    for (const MarkedBlock& b : set.marks) blocks.emplace_back(block_key(b.destination), &b);
    std::ranges::sort(blocks,
                      [](const auto& a, const auto& b) { return before(a.first, b.first); });
    for (const auto& [key, block] : blocks) {
        k.marks.push_back(key);
        k.mark_values.push_back(mark_value(*block));
    }
    sort_unique(k.vips);
    sort_unique(k.locals);
    sort_unique(k.services);
    sort_unique(k.backends);
    sort_unique(k.backend_addrs);
    sort_unique(k.macs);
    sort_unique(k.tunnels);
    return k;
}

// The host's own addresses come first: a key of `backends` must not take the reply to a health
// check before the address it is sent to is known as the host's. `vips` comes last, which puts
// services in force.
Result<> add_keys(const MapSet& maps, const Keys& keys) {
    if (auto r = add(maps.locals, keys.locals, "locals"); !r) return r;
    if (auto r = add(maps.macs, keys.macs, "macs"); !r) return r;
    if (auto r = add(maps.services, keys.services, "services"); !r) return r;
    if (auto r = add(maps.backend_addrs, keys.backend_addrs, "backend_addrs"); !r) return r;
    if (auto r = add(maps.backends, keys.backends, "backends"); !r) return r;
    if (auto r = add(maps.tunnels, keys.tunnels, "tunnels"); !r) return r;
    if (auto r =
            add(maps.marks, keys.marks, "marks", [&](size_t i) { return &keys.mark_values[i]; });
        !r)
        return r;
    return add(maps.vips, keys.vips, "vips");
}

Result<> remove_keys(const MapSet& maps, const Keys& keys) {
    return in_order_of_removal(maps, keys, [](const Fd& map, const auto& k, const char* name) {
        return erase(map, k, name);
    });
}

Result<> remove_others(const MapSet& maps, const Keys& keys) {
    return in_order_of_removal(maps, keys, [](const Fd& map, const auto& k, const char* name) {
        return remove_but(map, k, name);
    });
}

}  // namespace torii::xdp
