// Bytes in, advert or refusal out. The golden messages were taken from keepalived on the wire.

#include "vrrp/codec.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <functional>

namespace torii::vrrp {
namespace {

using namespace std::chrono_literals;
using Bytes = std::vector<uint8_t>;

Address ip(std::string_view text) { return parse_address(text).value(); }

const Address kPeer = ip("192.0.2.1"), kUs = ip("192.0.2.2"), kGroup = ip("224.0.0.18");

Identity ours(uint8_t version = 3) {
    return {.version = version,
            .family = Family::ipv4,
            .router_id = 51,
            .interval = 1s,
            .addresses = {ip("192.0.2.100")},
            .password = std::nullopt,
            .peers = {},
            .local = kUs};
}

Identity ours6() {
    Identity id = ours();
    id.family = Family::ipv6;
    id.addresses = {ip("fe80::100"), ip("2001:db8::100")};
    id.local = ip("fe80::2");
    return id;
}

Received from_peer(const Bytes& message) {
    return {kPeer, kGroup, 255, std::as_bytes(std::span(message))};
}

Bytes encoded(const Identity& id, uint8_t priority, const Address& source,
              const Address& destination) {
    Identity sender = id;
    sender.local = source;
    std::array<std::byte, kMaxMessage + 8> room;
    const size_t length = encode(sender, priority, destination, room);
    Bytes out(length);
    std::memcpy(out.data(), room.data(), length);
    return out;
}

Bytes good(const Identity& id, uint8_t priority = 150) {
    return id.family == Family::ipv4 ? encoded(id, priority, kPeer, kGroup)
                                     : encoded(id, priority, ip("fe80::1"), ip("ff02::12"));
}

/// Makes the checksum right again after a change, without a pseudo header.
Bytes summed(Bytes m) {
    m[6] = m[7] = 0;
    uint32_t sum = 0;
    for (size_t i = 0; i < m.size(); ++i) sum += uint32_t(m[i]) << (i % 2 == 0 ? 8 : 0);
    while (sum >> 16 != 0) sum = (sum & 0xffff) + (sum >> 16);
    m[6] = uint8_t(~sum >> 8);
    m[7] = uint8_t(~sum);
    return m;
}

std::string refusal(const Received& in, const Identity& id) {
    const auto got = decode(in, id);
    return got ? "good" : std::string(info(got.error()).name);
}

const Bytes kGolden3 = {0x31, 0x33, 0x96, 0x01, 0x00, 0x64, 0xd3, 0x71, 0xc0, 0x00, 0x02, 0x64};
const Bytes kGolden2 = {0x21, 0x33, 0x96, 0x01, 0x00, 0x01, 0x86, 0x65, 0xc0, 0x00,
                        0x02, 0x64, 0,    0,    0,    0,    0,    0,    0,    0};

TEST(Codec, WritesTheGoldenMessages) {
    EXPECT_EQ(encoded(ours(3), 150, kPeer, kGroup), kGolden3);
    EXPECT_EQ(encoded(ours(2), 150, kPeer, kGroup), kGolden2);
}

TEST(Codec, ReadsTheGoldenMessages) {
    const Advert want{150, 1s, kPeer, false};
    EXPECT_EQ(decode(from_peer(kGolden3), ours(3)).value(), want);
    EXPECT_EQ(decode(from_peer(kGolden2), ours(2)).value(), want);
}

TEST(Codec, Version3AddsUpWithAndWithoutPseudoHeader) {
    Identity plain = ours();
    plain.pseudo_header = false;
    const Bytes without = good(plain);
    EXPECT_NE(without, good(ours()));
    EXPECT_EQ(without, summed(without));
    EXPECT_EQ(refusal(from_peer(without), ours()), "good");
    EXPECT_EQ(refusal(from_peer(good(ours())), plain), "good");
}

TEST(Codec, TheChecksumCoversWhoTalksToWhom) {
    Received in = from_peer(kGolden3);
    in.source = ip("192.0.2.9");
    EXPECT_EQ(refusal(in, ours()), "checksum");
}

TEST(Codec, Ipv6NeedsThePseudoHeader) {
    const Bytes m = good(ours6());
    ASSERT_EQ(m.size(), 8u + 32);
    const auto at = [](const Bytes& bytes) {
        return Received{ip("fe80::1"), ip("ff02::12"), 255, std::as_bytes(std::span(bytes))};
    };
    EXPECT_EQ(decode(at(m), ours6()).value(), (Advert{150, 1s, ip("fe80::1"), false}));
    EXPECT_EQ(refusal(at(summed(m)), ours6()), "checksum");
}

TEST(Codec, IntervalsFromTenMillisecondsToTheLongest) {
    for (const auto interval : {10ms, 100ms, 40950ms}) {
        Identity id = ours();
        id.interval = interval;
        EXPECT_EQ(decode(from_peer(good(id)), ours()).value().interval, Duration(interval));
    }
}

TEST(Codec, ReservedBitsAreIgnored) {
    Bytes m = kGolden3;
    m[4] |= 0xf0;
    EXPECT_EQ(decode(from_peer(summed(m)), ours()).value().interval, Duration(1s));
}

TEST(Codec, PasswordIsPaddedAndCompared) {
    Identity id = ours(2);
    id.password = make_password("s3cret");
    const Bytes m = good(id);
    EXPECT_EQ(m[4], 1);
    EXPECT_EQ(Bytes(m.end() - 8, m.end()), (Bytes{'s', '3', 'c', 'r', 'e', 't', 0, 0}));
    EXPECT_EQ(refusal(from_peer(m), id), "good");
    EXPECT_EQ(refusal(from_peer(m), ours(2)), "authentication") << "we have none";
    EXPECT_EQ(refusal(from_peer(kGolden2), id), "authentication") << "it has none";
    Identity other = id;
    other.password = make_password("s3cret!");
    EXPECT_EQ(refusal(from_peer(m), other), "authentication");
    EXPECT_EQ(make_password("123456789"), make_password("12345678"));
}

TEST(Codec, OtherAddressesAreRefusedInVersion2AndReportedInVersion3) {
    for (const uint8_t version : {2, 3}) {
        Identity theirs = ours(version);
        theirs.addresses.push_back(ip("192.0.2.101"));
        for (const Identity& sender : {theirs, ours(version)}) {
            const Identity& receiver = sender.addresses.size() == 1 ? theirs : ours(version);
            const auto got = decode(from_peer(good(sender)), receiver);
            EXPECT_EQ(got.has_value(), version == 3);
            if (got) {
                EXPECT_TRUE(got->other_addresses);
            }
        }
        EXPECT_TRUE(decode(from_peer(good(theirs, kOwner)), ours(version))->other_addresses);
    }
}

TEST(Codec, TheOrderOfAddressesDoesNotMatterButEachCountsOnce) {
    Identity theirs = ours(2), mine = ours(2);
    theirs.addresses = {ip("192.0.2.100"), ip("192.0.2.101")};
    mine.addresses = {ip("192.0.2.101"), ip("192.0.2.100")};
    EXPECT_EQ(refusal(from_peer(good(theirs)), mine), "good");
    theirs.addresses = {ip("192.0.2.100"), ip("192.0.2.100")};
    EXPECT_EQ(refusal(from_peer(good(theirs)), mine), "addresses");
}

TEST(Codec, TheLongestMessage) {
    Identity id = ours6();
    id.addresses.clear();
    for (int i = 0; i < 255; ++i) {
        Address a = ip("2001:db8::");
        a.bytes[15] = uint8_t(i);
        id.addresses.push_back(a);
    }
    const Bytes m = good(id);
    EXPECT_EQ(m.size(), kMaxMessage);
    const Received in{ip("fe80::1"), ip("ff02::12"), 255, std::as_bytes(std::span(m))};
    EXPECT_EQ(refusal(in, id), "good");
    std::array<std::byte, 100> small;
    EXPECT_EQ(encode(id, 1, kGroup, small), 0u);
}

TEST(Codec, WhoseMessage) {
    EXPECT_EQ(router_id_of(std::as_bytes(std::span(kGolden3))), 51);
    EXPECT_EQ(router_id_of(std::as_bytes(std::span(kGolden3)).first(7)), std::nullopt);
    EXPECT_EQ(group_address(Family::ipv4), kGroup);
    EXPECT_EQ(group_address(Family::ipv6), ip("ff02::12"));
    EXPECT_EQ(to_string(virtual_mac(Family::ipv4, 51)), "00:00:5e:00:01:33");
    EXPECT_EQ(to_string(virtual_mac(Family::ipv6, 255)), "00:00:5e:00:02:ff");
}

/// One way to be wrong. What comes later in the order of the rules is wrong as well where it can
/// be, so that the order is tested too.
struct Wrong {
    const char* want;
    const char* what;
    std::function<void(Received&, Bytes&, Identity&)> spoil;
    friend void PrintTo(const Wrong& w, std::ostream* out) { *out << w.what; }
};

class Refusals : public testing::TestWithParam<Wrong> {};

TEST_P(Refusals, AreNamed) {
    Identity id = ours(2);
    Bytes m = kGolden2;
    Received in = from_peer(m);
    ASSERT_EQ(refusal(in, id), "good");
    GetParam().spoil(in, m, id);
    in.message = std::as_bytes(std::span(m));
    EXPECT_EQ(refusal(in, id), GetParam().want);
}

INSTANTIATE_TEST_SUITE_P(
    Rfc3768, Refusals,
    testing::Values(
        Wrong{"ttl", "routed",
              [](Received& in, Bytes& m, Identity&) {
                  in.ttl = 254;
                  m.clear();
              }},
        Wrong{"truncated", "seven_bytes", [](Received&, Bytes& m, Identity&) { m.resize(7); }},
        Wrong{"truncated", "nothing", [](Received&, Bytes& m, Identity&) { m.clear(); }},
        Wrong{"version", "version_3",
              [](Received&, Bytes& m, Identity&) {
                  m = kGolden3;
                  m[0] = 0x32;
              }},
        Wrong{"version", "version_1", [](Received&, Bytes& m, Identity&) { m[0] = 0x11; }},
        Wrong{"type", "type_2",
              [](Received&, Bytes& m, Identity&) {
                  m[0] = 0x22;
                  m.push_back(0);
              }},
        Wrong{"length", "one_byte_more", [](Received&, Bytes& m, Identity&) { m.push_back(0); }},
        Wrong{"length", "one_byte_less", [](Received&, Bytes& m, Identity&) { m.pop_back(); }},
        Wrong{"length", "more_addresses_than_there_are",
              [](Received&, Bytes& m, Identity&) {
                  m[3] = 255;
                  m = summed(m);
              }},
        Wrong{"length", "no_authentication_data",
              [](Received&, Bytes& m, Identity&) {
                  m.resize(12);
                  m = summed(m);
              }},
        Wrong{"checksum", "one_bit",
              [](Received&, Bytes& m, Identity&) {
                  m[2] ^= 1;
                  m[1] ^= 1;
              }},
        Wrong{"router_id", "another_one",
              [](Received& in, Bytes& m, Identity&) {
                  m[1] = 52;
                  m = summed(m);
                  in.destination = kUs;
              }},
        Wrong{"destination", "unicast_to_us",
              [](Received& in, Bytes&, Identity& id) {
                  in.destination = kUs;
                  id.local = kPeer;
              }},
        Wrong{"destination", "multicast_although_unicast",
              [](Received&, Bytes&, Identity& id) {
                  id.unicast = true;
                  id.peers = {kPeer};
              }},
        Wrong{"own", "our_own",
              [](Received&, Bytes&, Identity& id) {
                  id.local = kPeer;
                  id.password = make_password("x");
              }},
        Wrong{"peer", "stranger",
              [](Received& in, Bytes&, Identity& id) {
                  id.unicast = true;
                  id.peers = {ip("192.0.2.9")};
                  id.password = make_password("x");
                  in.destination = kUs;
              }},
        Wrong{"ttl", "peer_too_far",
              [](Received& in, Bytes&, Identity& id) {
                  id.unicast = true;
                  id.min_ttl = 64;
                  id.peers = {kPeer};
                  in.destination = kUs;
                  in.ttl = 63;
              }},
        Wrong{"good", "peer_near_enough",
              [](Received& in, Bytes&, Identity& id) {
                  id.unicast = true;
                  id.min_ttl = 64;
                  id.peers = {kPeer};
                  in.destination = kUs;
                  in.ttl = 64;
              }},
        Wrong{"authentication", "header_type",
              [](Received&, Bytes& m, Identity&) {
                  m[4] = 2;
                  m[5] = 9;
                  m = summed(m);
              }},
        Wrong{"interval", "two_seconds",
              [](Received&, Bytes& m, Identity& id) {
                  m[5] = 2;
                  m = summed(m);
                  id.addresses.clear();
              }},
        Wrong{"interval", "version_3_without_one",
              [](Received&, Bytes& m, Identity& id) {
                  id.version = 3;
                  m = kGolden3;
                  m[5] = 0;
                  m = summed(m);
              }},
        Wrong{"addresses", "another_address",
              [](Received&, Bytes& m, Identity&) {
                  m[11] = 0x65;
                  m = summed(m);
              }},
        Wrong{"length", "other_family",
              [](Received& in, Bytes&, Identity&) { in.source = ip("fe80::1"); }}),
    [](const auto& row) { return std::string(row.param.what); });

TEST(Refusals, TheTableIsInOrderAndWhole) {
    for (size_t i = 0; i < kRefusals.size(); ++i) {
        EXPECT_EQ(size_t(kRefusals[i].id), i);
        EXPECT_FALSE(kRefusals[i].name.empty());
        EXPECT_FALSE(kRefusals[i].help.empty());
    }
}

TEST(Refusals, OfMessagesForNobodyHere) {
    const auto name = [](const Received& in) {
        return std::string(info(refuse_stranger(in)).name);
    };
    EXPECT_EQ(name(from_peer(kGolden3)), "router_id");
    EXPECT_EQ(name(from_peer(kGolden2)), "router_id");
    Received routed = from_peer(kGolden3);
    routed.ttl = 1;
    EXPECT_EQ(name(routed), "ttl");
    Bytes m = kGolden3;
    m[11] = 0;
    EXPECT_EQ(name(from_peer(m)), "checksum");
    m[0] = 0x41;
    EXPECT_EQ(name(from_peer(m)), "version");
    m.resize(3);
    EXPECT_EQ(name(from_peer(m)), "truncated");
}

}  // namespace
}  // namespace torii::vrrp
