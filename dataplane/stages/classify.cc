// What classify.h leaves to the few packets that need it.

#include "dataplane/stages/classify.h"

#include "dataplane/stages/fragments.h"
#include "dataplane/stages/stages.h"

namespace torii::stages {
namespace detail {
namespace {

// To a virtual address, or from a NAT server to somebody else: by address alone.
bool concerns(const View& view, const Packet& p) {
    const Address to = destination_of(p);
    if (view.is_virtual(to)) return true;
    return !view.routes.is_local(to) && view.is_nat_backend(source_of(p));
}

}  // namespace

bool aim_odd(Context& c, Packet& p, bool martian) {
    if (c.state.standby.any() && c.state.standby.covers(destination_of(p)) &&
        c.view.is_virtual(destination_of(p)))
        p.close(Verdict::kernel_backup);
    else if (p.is_fragment && !concerns(c.view, p))
        p.close(Verdict::kernel_not_ours);
    else if (martian && c.view.is_virtual(destination_of(p)))
        p.close(Verdict::drop_martian);
    else if (p.is_fragment)
        gather(c, p);
    return p.verdict == Verdict::open;
}

// No connection's and no service's. With nat_icmp_send a NAT backend is told so, but for its
// resets.
void leave(Context& c, Packet& p) {
    if (c.view.services.header->behaviour.nat_icmp_send && !(p.tcp_flags & wire::kRst) &&
        !c.view.routes.is_local(destination_of(p)) &&
        c.view.is_nat_port(source_of(p), p.source_port.host(), Protocol(p.protocol)))
        if (const Address from = port_address(c.view, p, Address{}); from != Address{})
            return answer(c, p, kNoConnection, from);
    p.close(Verdict::kernel_not_ours);
}

bool look_further(Context& c, Packet& p) {
    const Direction guess = p.direction;
    const uint64_t guess_hash = p.hash;
    p.entry = find_side(c, p, guess == Direction::reply);
    if (p.entry != flow::kNone) return true;
    p.direction = guess == Direction::request ? Direction::reply : Direction::request;
    const bool reply = p.direction == Direction::reply;
    p.hash = p.ipv6 ? hash(c, p, addresses6(p), reply) : hash(c, p, addresses4(p), reply);
    p.entry = find_side(c, p, reply);
    if (p.entry != flow::kNone) return true;
    p.direction = Direction::request;
    if (guess == Direction::request) p.hash = guess_hash;
    if (find_service(c.view, p))
        c.found |= kUnknown;
    else
        leave(c, p);
    return false;
}

// Services that take more ports than their own (LVS: ip_vs_service_find): FTP its data connections,
// port 0 every one.
const shm::ServiceRecord* find_wide(const View& view, const Packet& p) {
    const shm::ServicesHeader& header = *view.services.header;
    const auto at = [&](uint16_t port) {
        return view.services.find(destination_of(p), be16::from_host(port), Protocol(p.protocol));
    };
    const uint16_t port = p.destination_port.host();
    if (p.protocol == wire::kTcp && (port == 20 || port >= 1024)) {
        const shm::ServiceRecord* ftp = at(21);
        if (ftp && (ftp->flags & shm::kPersistent)) return ftp;
    }
    return header.flags & shm::kHasPortZero ? at(0) : nullptr;
}

}  // namespace detail

uint32_t find_request(const Context& c, const Packet& p) { return detail::find_side(c, p, false); }

bool find_service(const View& view, Packet& p) {
    const Address to = destination_of(p);
    const shm::ServiceRecord* service = nullptr;
    if (!view.marks.empty())
        if (const uint32_t mark =
                view.marks.of(to, Protocol(p.protocol), p.destination_port.host()))
            service = view.services.find_mark(mark, to.family());
    if (!service) service = view.services.find(to, p.destination_port, Protocol(p.protocol));
    if (!service) service = detail::find_wide(view, p);
    if (!service) return false;
    p.service = uint32_t(service - view.services.services.data());
    return true;
}

}  // namespace torii::stages
