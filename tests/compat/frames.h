#pragma once
// The packets of scenarios (scenario.md), as guest/replay makes them.

#include <cstdlib>
#include <iostream>
#include <map>
#include <string>

#include "tests/support/frame.h"

namespace torii::compat {

[[noreturn]] inline void die(const std::string& what) {
    std::cerr << "pipeline_driver: " << what << '\n';
    std::exit(2);
}

inline const std::map<std::string, uint8_t> kFlags = {{"syn", test::kSyn},
                                                      {"synack", test::kSyn | test::kAck},
                                                      {"ack", test::kAck},
                                                      {"fin", test::kFin | test::kAck},
                                                      {"rst", test::kRst},
                                                      {"bare", 0},
                                                      {"synfin", test::kSyn | test::kFin},
                                                      {"synrst", test::kSyn | test::kRst}};
inline const std::map<std::string, int> kChunks = {{"data", 0},        {"init", 1},
                                                   {"init-ack", 2},    {"abort", 6},
                                                   {"shutdown", 7},    {"shutdown-ack", 8},
                                                   {"error", 9},       {"cookie-echo", 10},
                                                   {"cookie-ack", 11}, {"shutdown-complete", 14}};

/// One end of a packet.
struct End {
    std::string address;
    uint16_t port;
};

inline const char* of_protocol(Protocol p) {
    return p == Protocol::udp ? "udp" : p == Protocol::sctp ? "data" : "ack";
}

/// A packet of a service of `protocol`.
inline test::Frame frame_of(Protocol protocol, const std::string& kind, const End& from,
                            const End& to) {
    const auto bytes = [](const End& a, const End& b, std::initializer_list<int> more) {
        test::Bytes all = test::bytes_of({a.port >> 8, a.port & 255, b.port >> 8, b.port & 255});
        for (const int byte : more) all.push_back(std::byte(byte));
        return all;
    };
    test::Frame f = test::Frame().ip(from.address, to.address).dont_fragment();
    if (kind == "udp") return f.udp(from.port, to.port);
    if (kFlags.contains(kind)) return f.tcp(from.port, to.port, kFlags.at(kind));
    if (kChunks.contains(kind))  // no port changes, and so nobody looks at the checksum
        return f.protocol(uint8_t(Protocol::sctp))
            .payload(bytes(from, to, {0, 0, 0, 0, 0, 0, 0, 0, kChunks.at(kind), 0, 0, 4}));
    if (kind != "icmp") die("unknown packet " + kind);
    // That a packet which went the other way did not arrive: it is quoted with eight bytes.
    const bool v4 = from.address.find(':') == std::string::npos;
    test::Bytes quoted = frame_of(protocol, of_protocol(protocol), to, from).packet();
    quoted.resize((v4 ? 20 : 40) + 8);
    return f.icmp(v4 ? 3 : 1, v4 ? 3 : 4).payload(quoted);
}

}  // namespace torii::compat
