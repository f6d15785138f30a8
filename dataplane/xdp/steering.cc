#include "dataplane/xdp/steering.h"

#include <fmt/format.h>
#include <linux/if_link.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <iterator>
#include <optional>

#include "dataplane/xdp/kernel.h"
#include "dataplane/xdp/objects.h"

namespace torii::xdp {
namespace {

// The guard's place among the filters of clsact ingress: the first priority, because a filter that
// accepts a packet before the guard would hand it to the kernel, and a handle ("tori") by which
// exactly this filter is found, replaced and removed.
constexpr uint32_t kGuardHandle = 0x746f7269;
constexpr uint32_t kGuardPriority = 1;

bpf_tc_hook guard_hook(int index) {
    bpf_tc_hook hook{};
    hook.sz = sizeof(hook);
    hook.ifindex = index;
    hook.attach_point = BPF_TC_INGRESS;
    return hook;
}

bpf_tc_opts guard_options() {
    bpf_tc_opts options{};
    options.sz = sizeof(options);
    options.handle = kGuardHandle;
    options.priority = kGuardPriority;
    return options;
}

/// What is at our handle and priority, with its program held open.
struct Found {
    Program program;
    Mode mode = Mode::none;
    Fd fd;
};

Result<Found> identify(uint32_t id, std::string_view ours) {
    Found found;
    if (id == 0) return found;
    auto fd = program_by_id(id);
    if (!fd) return tl::unexpected(fd.error());
    bpf_prog_info info{};
    uint32_t size = sizeof(info);
    if (bpf_obj_get_info_by_fd(fd->get(), &info, &size) != 0)
        return fail_errno(fmt::format("BPF program {}", id), errno);
    found.program = {ours == info.name ? Owner::ours : Owner::foreign, id, info.name};
    found.fd = std::move(*fd);
    return found;
}

Result<Found> find_xdp(int index) {
    LIBBPF_OPTS(bpf_xdp_query_opts, query);
    if (const int e = bpf_xdp_query(index, 0, &query); e != 0)
        return fail_errno("query of the XDP program", -e);
    // With programs of several modes at once, the native one comes first.
    uint32_t id = query.prog_id;
    for (const uint32_t candidate : {query.hw_prog_id, query.skb_prog_id, query.drv_prog_id})
        if (id == 0 || (query.attach_mode == XDP_ATTACHED_MULTI && candidate != 0))
            id = candidate != 0 ? candidate : id;
    auto found = identify(id, kXdpName);
    if (!found || id == 0) return found;
    found->mode = id == query.drv_prog_id   ? Mode::native
                  : id == query.skb_prog_id ? Mode::generic
                                            : Mode::offload;
    return found;
}

Result<Found> find_guard(int index) {
    const QuietLibbpf quiet;
    const bpf_tc_hook hook = guard_hook(index);
    bpf_tc_opts options = guard_options();
    const int e = bpf_tc_query(&hook, &options);
    // EINVAL is the kernel's answer while the interface has no clsact qdisc.
    if (e == -ENOENT || e == -EINVAL) return Found{};
    if (e != 0) return fail_errno("query of the tc guard", -e);
    return identify(options.prog_id, kGuardName);
}

tl::unexpected<Error> foreign(std::string_view what, const Program& p) {
    return fail(Errc::exists, fmt::format("{} '{}' (id {}) is attached, which is not torii's; "
                                          "remove it first",
                                          what, p.name, p.id));
}

Result<> detach(int index, const Found& xdp) {
    const uint32_t flag = xdp.mode == Mode::native    ? XDP_FLAGS_DRV_MODE
                          : xdp.mode == Mode::generic ? XDP_FLAGS_SKB_MODE
                                                      : XDP_FLAGS_HW_MODE;
    // The kernel compares the program again, so that only the one that was looked at goes.
    LIBBPF_OPTS(bpf_xdp_attach_opts, options, .old_prog_fd = xdp.fd.get());
    if (const int e = bpf_xdp_detach(index, flag | XDP_FLAGS_REPLACE, &options); e != 0)
        return fail_errno("XDP program", -e);
    return {};
}

Result<> remove_guard(int index) {
    auto found = find_guard(index);
    if (!found) return tl::unexpected(found.error());
    if (found->program.owner != Owner::ours) return {};
    const QuietLibbpf quiet;
    const bpf_tc_hook hook = guard_hook(index);
    const bpf_tc_opts options = guard_options();
    if (const int e = bpf_tc_detach(&hook, &options); e != 0 && e != -ENOENT)
        return fail_errno("tc guard", -e);
    return {};
}

Result<> install_guard(int index, const SteeringSet& set) {
    auto before = find_guard(index);
    if (!before) return tl::unexpected(before.error());
    if (before->program.owner == Owner::foreign)
        return foreign("tc filter program", before->program);
    auto object = load(guard_object(), kGuardName);
    if (!object) return tl::unexpected(object.error());
    const int program =
        bpf_program__fd(bpf_object__find_program_by_name(object->get(), kGuardName.data()));
    auto maps = maps_of(program);
    if (!maps) return tl::unexpected(maps.error());
    if (auto r = add_keys(*maps, keys_of(set)); !r) return r;
    const QuietLibbpf quiet;
    bpf_tc_hook hook = guard_hook(index);
    if (const int e = bpf_tc_hook_create(&hook); e != 0 && e != -EEXIST)
        return fail_errno("clsact qdisc", -e);
    bpf_tc_opts options = guard_options();
    options.prog_fd = program;
    options.flags = BPF_TC_F_REPLACE;
    if (const int e = bpf_tc_attach(&hook, &options); e != 0)
        return fail_errno("tc guard at priority 1 of clsact ingress", -e);
    return {};
}

Result<> install_xdp(int index, const SteeringSet& set) {
    auto object = load(xdp_object(), kXdpName);
    if (!object) return tl::unexpected(object.error());
    const int program =
        bpf_program__fd(bpf_object__find_program_by_name(object->get(), kXdpName.data()));
    auto maps = maps_of(program);
    if (!maps) return tl::unexpected(maps.error());
    if (auto r = add_keys(*maps, keys_of(set)); !r) return r;
    const QuietLibbpf quiet;
    const int e = bpf_xdp_attach(index, program, XDP_FLAGS_UPDATE_IF_NOEXIST, nullptr);
    if (e == -EBUSY || e == -EEXIST) {
        auto there = find_xdp(index);
        if (there && there->program.owner == Owner::foreign)
            return foreign("XDP program", there->program);
        return fail(Errc::exists, "XDP program torii_xdp is attached already");
    }
    if (e != 0) {
        // libbpf prints the kernel's reason, e.g. that the peer of a veth has more queues.
        Error error = fail_errno("XDP program", -e).value();
        if (const std::string why = QuietLibbpf::last_line(); !why.empty())
            error.message += fmt::format(" ({})", why);
        return tl::unexpected(std::move(error));
    }
    return {};
}

/// What is attached to an interface and is ours.
struct AttachedMaps {
    Program xdp;
    std::vector<MapSet> maps;
};

Result<AttachedMaps> attached_maps(int index) {
    auto xdp = find_xdp(index);
    if (!xdp) return tl::unexpected(xdp.error());
    auto tc = find_guard(index);
    if (!tc) return tl::unexpected(tc.error());
    AttachedMaps all{xdp->program, {}};
    for (const Found* f : {&*xdp, &*tc}) {
        if (f->program.owner != Owner::ours) continue;
        auto maps = maps_of(f->fd.get());
        if (!maps) return tl::unexpected(maps.error());
        all.maps.push_back(std::move(*maps));
    }
    return all;
}

// Every addition in all, then every removal.
template <class Remove>
Result<> bring(int index, const Keys& added, Remove remove) {
    const auto all = attached_maps(index);
    if (!all) return tl::unexpected(all.error());
    for (const MapSet& m : all->maps)
        if (auto r = add_keys(m, added); !r) return r;
    for (const MapSet& m : all->maps)
        if (auto r = remove(m); !r) return r;
    if (all->xdp.owner == Owner::foreign) return foreign("XDP program", all->xdp);
    if (all->maps.empty())
        return fail(Errc::not_found, "neither torii_xdp nor torii_guard is attached");
    return {};
}

Result<> apply_to(int index, const SteeringSet& set) {
    const Keys keys = keys_of(set);
    return bring(index, keys, [&](const MapSet& m) { return remove_others(m, keys); });
}

/// What `a` has and `b` has not.
SteeringSet without(const SteeringSet& a, const SteeringSet& b) {
    SteeringSet out;
    const auto differ = [&](auto list) {
        std::ranges::set_difference(a.*list, b.*list, std::back_inserter(out.*list));
    };
    differ(&SteeringSet::services);
    differ(&SteeringSet::vips);
    differ(&SteeringSet::locals);
    differ(&SteeringSet::backends);
    differ(&SteeringSet::marks);
    differ(&SteeringSet::tunnels);
    return out;
}

Result<> change(int index, const SteeringSet& from, const SteeringSet& to) {
    SteeringSet gone = without(from, to);
    // A block that is only marked otherwise stays, and so does an address behind another port.
    std::erase_if(gone.marks, [&](const MarkedBlock& block) {
        const auto it =
            std::ranges::lower_bound(to.marks, block.destination, {}, &MarkedBlock::destination);
        return it != to.marks.end() && it->destination == block.destination;
    });
    Keys stale = keys_of(gone);
    stale.macs.clear();
    std::erase_if(stale.backend_addrs, [&](const torii_address_key& key) {
        Address a;
        std::memcpy(a.bytes.data(), key.bytes, sizeof(key.bytes));
        const auto it = std::ranges::lower_bound(to.backends, a, {}, &ServiceKey::address);
        return it != to.backends.end() && it->address == a;
    });
    Keys added = keys_of(without(to, from));
    added.macs.clear();
    return bring(index, added, [&](const MapSet& m) { return remove_keys(m, stale); });
}

Result<> bind_to(int index, std::span<const int> sockets) {
    auto xdp = find_xdp(index);
    if (!xdp) return tl::unexpected(xdp.error());
    if (xdp->program.owner == Owner::foreign) return foreign("XDP program", xdp->program);
    if (xdp->program.owner == Owner::none)
        return fail(Errc::not_found, "torii_xdp is not attached");
    auto maps = maps_of(xdp->fd.get());
    if (!maps) return tl::unexpected(maps.error());
    for (uint32_t queue = 0; queue < sockets.size(); ++queue)
        if (bpf_map_update_elem(maps->xsks.get(), &queue, &sockets[queue], BPF_ANY) != 0)
            return fail_errno(fmt::format("socket of receive queue {}", queue), errno);
    return {};
}

/// Runs `action(index)` and puts the interface's name before its error.
template <class Action>
auto on(std::string_view interface, Action&& action) -> decltype(action(0)) {
    auto index = interface_index(interface);
    if (!index) return tl::unexpected(index.error());
    auto result = action(*index);
    if (!result)
        return tl::unexpected(
            std::move(result.error()).within(fmt::format("interface {}", interface)));
    return result;
}

}  // namespace

Result<Attached> attached(std::string_view interface) {
    return on(interface, [](int index) -> Result<Attached> {
        auto xdp = find_xdp(index);
        if (!xdp) return tl::unexpected(xdp.error());
        auto tc = find_guard(index);
        if (!tc) return tl::unexpected(tc.error());
        return Attached{xdp->program, xdp->mode, tc->program};
    });
}

Result<> guard(std::string_view interface, const SteeringSet& set) {
    return on(interface, [&](int index) { return install_guard(index, set); });
}

Result<> apply(std::string_view interface, const SteeringSet& set) {
    return on(interface, [&](int index) { return apply_to(index, set); });
}

Result<> apply(std::string_view interface, const SteeringSet& from, const SteeringSet& to) {
    if (from.macs != to.macs) return apply(interface, to);
    return on(interface, [&](int index) { return change(index, from, to); });
}

Result<> attach_xdp(std::string_view interface, const SteeringSet& set) {
    return on(interface, [&](int index) { return install_xdp(index, set); });
}

Result<> detach_xdp(std::string_view interface) {
    return on(interface, [](int index) -> Result<> {
        auto xdp = find_xdp(index);
        if (!xdp) return tl::unexpected(xdp.error());
        if (xdp->program.owner == Owner::none) return {};
        if (xdp->program.owner == Owner::foreign) return foreign("XDP program", xdp->program);
        return detach(index, *xdp);
    });
}

Result<> bind_sockets(std::string_view interface, std::span<const int> sockets) {
    return on(interface, [&](int index) { return bind_to(index, sockets); });
}

Result<> release(std::string_view interface) {
    return on(interface, [](int index) -> Result<> {
        auto xdp = find_xdp(index);
        if (!xdp) return tl::unexpected(xdp.error());
        if (xdp->program.owner == Owner::ours)
            if (auto r = detach(index, *xdp); !r) return r;
        return remove_guard(index);
    });
}

}  // namespace torii::xdp
