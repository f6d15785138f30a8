#include "dataplane/stages/affinity.h"

#include "dataplane/flow/tcp_state.h"
#include "dataplane/stages/pick.h"
#include "dataplane/stages/stages.h"

namespace torii::stages {
namespace {

constexpr be16 kFtp = be16::from_host(21);
constexpr int kTries = 4;  // a template may end, or another worker's be first

Address masked(const Address& client, uint32_t mask) {
    if (client.is_v4()) return Address::v4(be32::from_host(client.as_v4().host() & mask));
    return Prefix{client, uint8_t(mask)}.masked().address;
}

// A mark takes the place of the virtual address, in its first four bytes.
Address address_of_mark(uint32_t mark, Family family) {
    if (family == Family::ipv4) return Address::v4(be32::from_host(mark));
    Address a;
    const uint32_t raw = be32::from_host(mark).raw();
    std::memcpy(a.bytes.data(), &raw, sizeof raw);
    return a;
}

// FTP's data connections go where its control connection went: its templates hold every port.
bool holds_one_port(const shm::ServiceRecord& s, const Packet& p) {
    return s.mark == 0 && p.destination_port == s.port && s.port != kFtp;
}

flow::Tuple template_of(const shm::ServiceRecord& s, const Packet& p) {
    flow::Tuple t;
    t.client = masked(source_of(p), s.persistence_mask);
    t.protocol = s.mark != 0 ? Protocol::any : Protocol(p.protocol);
    t.virtual_address =
        s.mark != 0 ? address_of_mark(s.mark, s.address.family()) : destination_of(p);
    if (holds_one_port(s, p)) t.virtual_port = s.port;
    t.backend_address = t.client;  // for find_template(), which does not look at it
    return t;
}

// The backend of a template that may still be used; ~0u, and the template is void, if it may not.
uint32_t usable(Context& c, uint32_t entry) {
    const flow::Head& head = c.flows.head(entry);
    const shm::BackendRecord* backend =
        c.view.services.backend(head.backend, head.backend_generation);
    const bool quiet = backend && backend->weight == 0 &&
                       c.view.services.header->behaviour.expire_quiescent_template;
    if (backend && !quiet) return head.backend;
    c.flows.make_void(entry, c.now);
    return ~0u;
}

flow::NewEntry template_entry(Context& c, const Packet& p, const flow::Tuple& tuple,
                              uint32_t slot) {
    const shm::ServiceRecord& service = c.view.services.services[p.service];
    const shm::BackendRecord& backend = c.view.services.backends[slot];
    flow::NewEntry e;
    e.tuple = tuple;
    e.tuple.backend_address = backend.address;
    if (holds_one_port(service, p)) e.tuple.backend_port = backend.port;
    e.backend = slot;
    e.backend_generation = backend.generation;
    e.service_slot = service.slot;
    e.forward = backend.forward;
    e.flags = flow::kTemplate;
    e.timeout = service.persistence_timeout;
    e.expiry = flow::whole_second(c.now) + e.timeout * flow::kTicksPerSecond;
    return e;
}

}  // namespace

Choice choose_backend(Context& c, const Packet& p) {
    const shm::ServiceRecord& service = c.view.services.services[p.service];
    if (!(service.flags & shm::kPersistent)) return {pick(c, p), flow::kNone};
    const flow::Tuple tuple = template_of(service, p);
    const uint64_t hash =
        flow::hash_of(c.state.seed, tuple.protocol, tuple.client, tuple.client_port);
    uint32_t chosen = ~0u;
    for (int tries = 0; tries < kTries; ++tries) {
        if (const uint32_t known = c.flows.find_template(tuple, hash); known != flow::kNone) {
            const uint32_t slot = usable(c, known);
            if (slot != ~0u && c.flows.hold(known, c.now)) return {slot, known};
            continue;
        }
        if (chosen == ~0u) chosen = pick(c, p);
        if (chosen == ~0u) return {};
        const auto made = c.flows.insert(template_entry(c, p, tuple, chosen), hash, c.now);
        if (made.entry == flow::kFull) break;
        if (made.created && c.flows.hold(made.entry, c.now)) return {chosen, made.entry};
    }
    return {chosen == ~0u ? pick(c, p) : chosen, flow::kNone};
}

void give_up(Context& c, const Choice& choice) {
    if (choice.control != flow::kNone) c.flows.release(choice.control);
}

be16 backend_port(const shm::ServiceRecord& s, const shm::BackendRecord& b, be16 destination) {
    const bool own = s.flags & shm::kPersistent ? destination == s.port : true;
    return own && b.port.raw() != 0 ? b.port : destination;
}

}  // namespace torii::stages
