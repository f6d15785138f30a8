// Outer headers, against those that IPVS of a running Linux 6.1 has sent for the same packets.

#include "dataplane/stages/encapsulation.h"

#include <gmock/gmock.h>

#include "tests/support/frame.h"

namespace torii::test {
namespace {

using stages::encapsulate;
using stages::Inner;
using stages::Outer;
using Type = shm::TunnelType;
using Sum = shm::TunnelChecksum;

constexpr be16 kPort = be16::from_host(6080);

struct Seen {
    const char* name;
    shm::Tunnel tunnel;
    const char *outer, *inner;  // hex: what IPVS put in front of what
};
// clang-format off
const Seen kSeen[] = {
    {"ipip_4in4", {Type::ipip},
     "45b90037000040003f04b6bac0a801fec0a80101",
     "45b90023000040003f1126ad0a0000010a00006498ef0050000fde2168656c6c6f3830"},
    {"ipip_4in6", {Type::ipip},
     "6b9000000023043f20010db8000b000000000000000000fe20010db8000b00000000000000000001",
     "45b90023a9ec00003f11bcc00a0000010a000064a7680051000fcea768656c6c6f3831"},
    {"ipip_6in4", {Type::ipip},
     "45b9004b332f00003f29c352c0a801fec0a80101",
     "6b9c42d5000f113f20010db8000c0000000000000000000120010db8000c00000000000000000100df5f0052"
     "000f4d8968656c6c6f3832"},
    {"ipip_6in6", {Type::ipip},
     "6b9000000037293f20010db8000b000000000000000000fe20010db8000b00000000000000000001",
     "6b9d85f2000f113f20010db8000c0000000000000000000120010db8000c00000000000000000100a88b0053"
     "000f835c68656c6c6f3833"},
    {"gue_4in4", {Type::gue, Sum::none, kPort},
     "45b90043000040003f11b6a1c0a801fec0a80101bbe317c0002f000000040000",
     "45b90023000040003f1126ad0a0000010a00006481770054000ff19568656c6c6f3834"},
    {"gue_4in6", {Type::gue, Sum::none, kPort},
     "6b900000002f113f20010db8000b000000000000000000fe20010db8000b00000000000000000001c9bc17c0"
     "002f000000040000",
     "45b90023a9ed00003f11bcbf0a0000010a000064af770055000fc29468656c6c6f3835"},
    {"gue_6in4", {Type::gue, Sum::none, kPort},
     "45b90057ed5c00003f110931c0a801fec0a8010185fd17c00043000000290000",
     "6b928def000f113f20010db8000c0000000000000000000120010db8000c00000000000000000100e2b90056"
     "000f462b68656c6c6f3836"},
    {"gue_6in6", {Type::gue, Sum::none, kPort},
     "6b9000000043113f20010db8000b000000000000000000fe20010db8000b000000000000000000018e7c17c0"
     "0043000000290000",
     "6b9b2a2a000f113f20010db8000c0000000000000000000120010db8000c0000000000000000010083910057"
     "000fa45268656c6c6f3837"},
    {"gue_checksum_4in4", {Type::gue, Sum::full, kPort},
     "45b90043000040003f11b6a1c0a801fec0a80101e5c917c0002f923700040000",
     "45b90023000040003f1126ad0a0000010a000064c9890058000fa57f68656c6c6f3838"},
    {"gue_checksum_4in6", {Type::gue, Sum::full, kPort},
     "6b900000002f113f20010db8000b000000000000000000fe20010db8000b00000000000000000001d7b817c0"
     "002fc81100040000",
     "45b90023a9ee00003f11bcbe0a0000010a000064ca940059000fa37368656c6c6f3839"},
    {"gue_checksum_6in4", {Type::gue, Sum::full, kPort},
     "45b90057ed5d00003f110930c0a801fec0a8010193d817c00043e03900290000",
     "6b967258000f113f20010db8000c0000000000000000000120010db8000c00000000000000000100962c005a"
     "000f98b368656c6c6f3930"},
    {"gue_checksum_6in6", {Type::gue, Sum::full, kPort},
     "6b9000000043113f20010db8000b000000000000000000fe20010db8000b00000000000000000001d4c817c0"
     "0043aff800290000",
     "6b9e896a000f113f20010db8000c0000000000000000000120010db8000c00000000000000000100afa1005b"
     "000f7e3d68656c6c6f3931"},
    {"gue_remote_4in4", {Type::gue, Sum::remote, kPort},
     "45b90043000040003f11b6a1c0a801fec0a80101863d17c0002ff1c300040000",
     "45b90023000040003f1126ad0a0000010a000064a288005c000fd27b68656c6c6f3932"},
    {"gue_remote_4in6", {Type::gue, Sum::remote, kPort},
     "6b900000002f113f20010db8000b000000000000000000fe20010db8000b00000000000000000001a9b117c0"
     "002ff61800040000",
     "45b90023a9ef00003f11bcbd0a0000010a000064c146005d000fb2bc68656c6c6f3933"},
    {"gue_remote_6in4", {Type::gue, Sum::remote, kPort},
     "45b90057ed5e00003f11092fc0a801fec0a80101ea7917c000435def00290000",
     "6b909e07000f113f20010db8000c0000000000000000000120010db8000c0000000000000000010080a1005e"
     "000faa3a68656c6c6f3934"},
    {"gue_remote_6in6", {Type::gue, Sum::remote, kPort},
     "6b9000000043113f20010db8000b000000000000000000fe20010db8000b00000000000000000001a62117c0"
     "0043dc6300290000",
     "6b968bae000f113f20010db8000c0000000000000000000120010db8000c000000000000000001008914005f"
     "000fa0c668656c6c6f3935"},
    {"gre_4in4", {Type::gre},
     "45b9003b000040003f2fb68bc0a801fec0a8010100000800",
     "45b90023000040003f1126ad0a0000010a000064b8860060000fb87968656c6c6f3936"},
    {"gre_4in6", {Type::gre},
     "6b90000000272f3f20010db8000b000000000000000000fe20010db8000b0000000000000000000100000800",
     "45b90023a9f000003f11bcbc0a0000010a000064991d0061000fd6e168656c6c6f3937"},
    {"gre_6in4", {Type::gre},
     "45b9004f8ddf00003f2f6898c0a801fec0a80101000086dd",
     "6b95278a000f113f20010db8000c0000000000000000000120010db8000c00000000000000000100dbdc0062"
     "000f4afb68656c6c6f3938"},
    {"gre_6in6", {Type::gre},
     "6b900000003b2f3f20010db8000b000000000000000000fe20010db8000b00000000000000000001000086dd",
     "6b9177c1000f113f20010db8000c0000000000000000000120010db8000c00000000000000000100c3ee0063"
     "000f61e868656c6c6f3939"},
    {"gre_checksum_4in4", {Type::gre, Sum::full},
     "45b90040000040003f2fb686c0a801fec0a80101800008008c850000",
     "45b90024000040003f1126ac0a0000010a000064e3ed0064001092e468656c6c6f313030"},
    {"gre_checksum_4in6", {Type::gre, Sum::full},
     "6b900000002c2f3f20010db8000b000000000000000000fe20010db8000b0000000000000000000180000800"
     "8c850000",
     "45b90024a9f100003f11bcba0a0000010a0000648b5100650010eb7e68656c6c6f313031"},
    {"gre_checksum_6in4", {Type::gre, Sum::full},
     "45b900548de000003f2f6892c0a801fec0a80101800086dde3510000",
     "6b94990d0010113f20010db8000c0000000000000000000120010db8000c00000000000000000100a8f00066"
     "001085b768656c6c6f313032"},
    {"gre_checksum_6in6", {Type::gre, Sum::full},
     "6b90000000402f3f20010db8000b000000000000000000fe20010db8000b00000000000000000001800086dd"
     "fb4f0000",
     "6b97810c0010113f20010db8000c0000000000000000000120010db8000c00000000000000000100a1550067"
     "00108d5068656c6c6f313033"},
};
// clang-format on

Bytes from_hex(std::string_view text) {
    Bytes b;
    for (size_t i = 0; i + 1 < text.size(); i += 2)
        b.push_back(std::byte(std::stoul(std::string(text.substr(i, 2)), nullptr, 16)));
    return b;
}
uint16_t word(const Bytes& b, size_t at) {
    return uint16_t(unsigned(b.at(at)) << 8 | unsigned(b.at(at + 1)));
}

struct Encapsulation : testing::TestWithParam<Seen> {};

TEST_P(Encapsulation, IsWhatIpvsSends) {
    const Bytes want = from_hex(GetParam().outer), inside = from_hex(GetParam().inner);
    const bool outer6 = unsigned(want[0]) >> 4 == 6, inner6 = unsigned(inside[0]) >> 4 == 6;
    const shm::Tunnel& tunnel = GetParam().tunnel;
    ASSERT_EQ(stages::overhead(tunnel, outer6), want.size());
    // What IPVS chose itself: the addresses, the identification, the source port.
    Outer outer;
    if (outer6) {
        outer.source = Address::v6(&want[8]);
        outer.destination = Address::v6(&want[24]);
    } else {
        outer.source = *parse_address("192.168.1.254");
        outer.destination = *parse_address("192.168.1.1");
        outer.id = word(want, 4);
    }
    if (tunnel.type == Type::gue) outer.udp_source = word(want, outer6 ? 40 : 20);
    Bytes whole(want.size());
    whole.insert(whole.end(), inside.begin(), inside.end());
    encapsulate(whole.data(), Inner{whole.data() + want.size(), uint16_t(inside.size()), inner6},
                tunnel, outer);
    Bytes expected = want;
    expected.insert(expected.end(), inside.begin(), inside.end());
    EXPECT_EQ(diff(whole, expected), "");
}

INSTANTIATE_TEST_SUITE_P(All, Encapsulation, testing::ValuesIn(kSeen),
                         [](const auto& i) { return i.param.name; });

TEST(EncapsulationRules, CongestionExperiencedStartsAgainAsCapable) {
    EXPECT_EQ(stages::outer_tos(0xb8), 0xb8);
    EXPECT_EQ(stages::outer_tos(0xb9), 0xb9);
    EXPECT_EQ(stages::outer_tos(0xba), 0xba);
    EXPECT_EQ(stages::outer_tos(0xbb), 0xba);
}

TEST(EncapsulationRules, DontFragmentIsCopiedOnlyWhenAskedFor) {
    const Frame f = Frame().ip("10.0.0.1", "10.0.0.2").udp(1, 2).dont_fragment();
    const auto fragment_word = [&](bool copy) {
        const Bytes inside = f.packet();
        Bytes whole(20);
        whole.insert(whole.end(), inside.begin(), inside.end());
        Outer o{*parse_address("10.1.0.1"), *parse_address("10.1.0.2"), 0, 77, copy};
        encapsulate(whole.data(), Inner{whole.data() + 20, uint16_t(inside.size()), false}, {}, o);
        return std::pair(word(whole, 4), word(whole, 6));
    };
    EXPECT_EQ(fragment_word(true), std::pair(uint16_t(0), uint16_t(0x4000)));
    EXPECT_EQ(fragment_word(false), std::pair(uint16_t(77), uint16_t(0)));
}

TEST(EncapsulationRules, SourcePortsSpreadOverLinuxsRange) {
    EXPECT_EQ(stages::gue_source_port(0), 32768);
    EXPECT_EQ(stages::gue_source_port(~0ull), 60998);
    EXPECT_NE(stages::gue_source_port(1ull << 60), stages::gue_source_port(1ull << 61));
}

}  // namespace
}  // namespace torii::test
