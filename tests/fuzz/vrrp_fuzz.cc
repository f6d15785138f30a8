// Any bytes as VRRP messages, one after the other, for one of a few virtual routers; what is good
// goes on to its state machine. An input is a list of {options, length, message}; the options' low
// bits choose the router, bit 3 makes the checksum right, bit 4 the TTL wrong, bits 5 to 7 let time
// pass.

#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <memory>

#include "vrrp/codec.h"
#include "vrrp/fsm.h"

namespace torii::vrrp {
namespace {

using namespace std::chrono_literals;

void check(bool right, const char* what) {
    if (right) return;
    std::fprintf(stderr, "vrrp_fuzz: %s\n", what);
    std::abort();
}

Address ip(std::string_view text) { return parse_address(text).value(); }

struct Router {
    Identity identity;
    Settings settings;
    State state;
    Address peer, group;
};

Router make_router(uint8_t version, Family family, bool unicast, bool secret) {
    const bool six = family == Family::ipv6;
    Router r;
    r.identity.version = version;
    r.identity.family = family;
    r.identity.router_id = 51;
    r.identity.interval = 1s;
    r.identity.addresses = {ip(six ? "fe80::100" : "192.0.2.100")};
    if (secret) r.identity.password = make_password("secret");
    r.identity.unicast = unicast;
    r.peer = ip(six ? "fe80::1" : "192.0.2.1");
    r.identity.peers = {r.peer};
    r.identity.local = ip(six ? "fe80::2" : "192.0.2.2");
    r.group = unicast ? r.identity.local : group_address(family);
    r.settings.version = version;
    r.settings.local = r.identity.local;
    r.state =
        step(r.settings, step(r.settings, {}, Start{}, Time(1s)).state, Ready{}, Time(1s)).state;
    return r;
}

/// Puts a right checksum without a pseudo header into the message.
void repair(std::span<std::byte> m) {
    if (m.size() < 8) return;
    m[6] = m[7] = std::byte(0);
    uint32_t sum = 0;
    for (size_t i = 0; i < m.size(); ++i) sum += uint32_t(m[i]) << (i % 2 == 0 ? 8 : 0);
    sum = (sum & 0xffff) + (sum >> 16);
    sum = (sum & 0xffff) + (sum >> 16);
    m[6] = std::byte(uint8_t(~sum >> 8));
    m[7] = std::byte(uint8_t(~sum));
}

/// What we would send with the same priority is understood by whoever is set as we are.
void check_round_trip(const Router& r, const Advert& a) {
    std::array<std::byte, kMaxMessage + 8> room;
    Identity sender = r.identity;
    sender.local = r.peer;
    if (sender.version == 3) sender.interval = a.interval;
    const size_t length = encode(sender, a.priority, r.group, room);
    const auto again = decode({r.peer, r.group, kTtl, std::span(room).first(length)}, r.identity);
    check(again.has_value(), "our own encoding is refused");
    check(again->priority == a.priority && again->interval == a.interval, "it says something else");
}

void receive(Router& r, uint8_t options, std::span<const std::byte> bytes, Time now) {
    // A copy of exactly that size, so that a read past its end is seen.
    const auto copy = std::make_unique<std::byte[]>(bytes.size());
    const std::span message(copy.get(), bytes.size());
    std::ranges::copy(bytes, message.begin());
    if (options & 8) repair(message);
    const Received in{r.peer, r.group, uint8_t(options & 16 ? 0 : 255), message};
    check(refuse_stranger(in) < Refusal::kCount, "no such refusal");
    const auto advert = decode(in, r.identity);
    if (!advert) return check(advert.error() < Refusal::kCount, "no such refusal");
    check(router_id_of(message) == r.identity.router_id, "an advert for somebody else");
    check(advert->interval > 0s && !(options & 16), "an advert that breaks the rules");
    check_round_trip(r, *advert);
    for (const Event& event : {Event(*advert), Event(Tick{})}) {
        const Step next = step(r.settings, r.state, event, now);
        check(next.actions.size() <= Actions::kMost, "too many actions");
        check(wakeup(next.state) != kNever, "nothing would ever happen again");
        r.state = next.state;
    }
}

void run_one(const uint8_t* data, size_t size) {
    Router routers[] = {
        make_router(3, Family::ipv4, false, false), make_router(2, Family::ipv4, false, false),
        make_router(2, Family::ipv4, true, true), make_router(3, Family::ipv6, false, false)};
    Time now(1s);
    for (size_t at = 0; at + 2 <= size;) {
        const uint8_t options = data[at];
        const size_t length = std::min<size_t>(data[at + 1], size - at - 2);
        now += (options >> 5) * 400ms;
        receive(routers[options & 3], options, std::as_bytes(std::span(data + at + 2, length)),
                now);
        at += 2 + length;
    }
}

}  // namespace
}  // namespace torii::vrrp

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
    torii::vrrp::run_one(data, size);
    return 0;
}
