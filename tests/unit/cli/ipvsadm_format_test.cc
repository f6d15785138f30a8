// The listings, compared with what ipvsadm 1.31 printed, byte for byte.
#include "control/cli/ipvsadm_format.h"

#include <gtest/gtest.h>

namespace torii::cli {
namespace {

Endpoint at(std::string_view text) { return *parse_endpoint(text); }

api::Destination dest(std::string_view where, std::string forward, uint32_t weight, uint64_t active,
                      uint64_t inactive, api::Counts counts = {}) {
    api::Destination d;
    d.endpoint = at(where);
    d.forward = std::move(forward);
    d.weight = weight;
    d.active = active;
    d.inactive = inactive;
    d.counts = counts;
    return d;
}

api::Services table() {
    api::Services t;
    t.table_buckets = 4096;
    // In the kernel's order, newest destination first, to see that the listing sorts.
    t.services = {
        {at("[2001:db8:ffff:ffff:ffff:ffff:ffff:100]:80"),
         Protocol::tcp,
         "",
         "wrr",
         {},
         {},
         {dest("[2001:db8:1111:2222:3333:4444:5555:6666]:8080", "Masq", 1, 5, 6),
          dest("[2001:db8:1::11]:8080", "Masq", 1, 5, 6)}},
        {at("10.0.0.9:2905"),
         Protocol::sctp,
         "",
         "sh",
         {"sh-fallback", "sh-port"},
         {},
         {dest("10.0.1.20:2905", "Tunnel", 1, 0, 0)}},
        {at("10.0.0.53:53"),
         Protocol::udp,
         "",
         "rr",
         {},
         {},
         {dest("192.168.100.200:53", "Masq", 65535, 0, 0)}},
        {at("10.0.0.100:443"),
         Protocol::tcp,
         "",
         "wlc",
         {},
         {},
         {dest("127.0.0.1:443", "Local", 100, 123456, 7), dest("10.0.1.11:443", "Route", 1, 0, 0)}},
        {at("10.0.0.100:80"),
         Protocol::tcp,
         "",
         "wrr",
         {},
         {12345, 987654, 876543, 123456789, 98765432109},
         {dest("10.0.1.12:8080", "Masq", 1, 4, 67, {4345, 387654, 376543, 43456789, 38765432109}),
          dest("10.0.1.11:8080", "Masq", 3, 10, 200,
               {8000, 600000, 500000, 80000000, 60000000000})}},
    };
    return t;
}

TEST(IpvsadmList, Plain) {
    EXPECT_EQ(list_services(table(), {}, numeric_names()),
              "IP Virtual Server version 1.2.1 (size=4096)\n"
              "Prot LocalAddress:Port Scheduler Flags\n"
              "  -> RemoteAddress:Port           Forward Weight ActiveConn InActConn\n"
              "TCP  10.0.0.100:80 wrr\n"
              "  -> 10.0.1.11:8080               Masq    3      10         200       \n"
              "  -> 10.0.1.12:8080               Masq    1      4          67        \n"
              "TCP  10.0.0.100:443 wlc\n"
              "  -> 10.0.1.11:443                Route   1      0          0         \n"
              "  -> 127.0.0.1:443                Local   100    123456     7         \n"
              "UDP  10.0.0.53:53 rr\n"
              "  -> 192.168.100.200:53           Masq    65535  0          0         \n"
              "SCTP 10.0.0.9:2905 sh (sh-fallback,sh-port)\n"
              "  -> 10.0.1.20:2905               Tunnel  1      0          0         \n"
              "TCP  [2001:db8:ffff:ffff:ffff:ffff:ffff:100]:80 wrr\n"
              "  -> [2001:db8:1::11]:8080        Masq    1      5          6         \n"
              "  -> [2001:db8:1111:2222:3333:4444:5555:6666]:8080 Masq    1      5          6"
              "         \n");
}

api::Services only_first() {
    api::Services t = table();
    t.services = {t.services.back()};
    return t;
}

TEST(IpvsadmList, StatsRoundTowardsZero) {
    EXPECT_EQ(list_services(only_first(), {.listing = Listing::stats}, numeric_names()),
              "IP Virtual Server version 1.2.1 (size=4096)\n"
              "Prot LocalAddress:Port               Conns   InPkts  OutPkts  InBytes OutBytes\n"
              "  -> RemoteAddress:Port\n"
              "TCP  10.0.0.100:80                   12345   987654   876543  123456K   98765M\n"
              "  -> 10.0.1.11:8080                   8000   600000   500000 80000000   60000M\n"
              "  -> 10.0.1.12:8080                   4345   387654   376543 43456789   38765M\n");
}

TEST(IpvsadmList, ExactStatsPushTheLineOn) {
    EXPECT_EQ(
        list_services(only_first(), {.listing = Listing::stats, .exact = true}, numeric_names()),
        "IP Virtual Server version 1.2.1 (size=4096)\n"
        "Prot LocalAddress:Port               Conns   InPkts  OutPkts  InBytes OutBytes\n"
        "  -> RemoteAddress:Port\n"
        "TCP  10.0.0.100:80                   12345   987654   876543 123456789 98765432109\n"
        "  -> 10.0.1.11:8080                   8000   600000   500000 80000000 60000000000\n"
        "  -> 10.0.1.12:8080                   4345   387654   376543 43456789 38765432109\n");
}

TEST(IpvsadmList, OneServiceHasNoVersionLine) {
    EXPECT_EQ(list_services(only_first(), {.version = false}, numeric_names()),
              "Prot LocalAddress:Port Scheduler Flags\n"
              "  -> RemoteAddress:Port           Forward Weight ActiveConn InActConn\n"
              "TCP  10.0.0.100:80 wrr\n"
              "  -> 10.0.1.11:8080               Masq    3      10         200       \n"
              "  -> 10.0.1.12:8080               Masq    1      4          67        \n");
}

TEST(IpvsadmList, NosortShowsTheKernelsOrderAndAnEmptyTableItsTitle) {
    const std::string out =
        list_services(only_first(), {.sorted = false, .version = false}, numeric_names());
    EXPECT_LT(out.find("10.0.1.12"), out.find("10.0.1.11"));
    EXPECT_EQ(list_services({}, {}, numeric_names()),
              "IP Virtual Server version 1.2.1 (size=0)\n"
              "Prot LocalAddress:Port Scheduler Flags\n"
              "  -> RemoteAddress:Port           Forward Weight ActiveConn InActConn\n");
}

TEST(IpvsadmList, FarAddressesSortByTheWrappedDifference) {
    api::Services t;
    t.services = {{at("10.0.0.1:80"), Protocol::tcp, "", "rr", {}, {}, {}},
                  {at("192.168.0.1:80"), Protocol::tcp, "", "rr", {}, {}, {}}};
    const std::string out = list_services(t, {}, numeric_names());
    EXPECT_LT(out.find("192.168.0.1"), out.find("10.0.0.1"));
}

TEST(IpvsadmList, LargeNumbersBySteps) {
    const auto shown = [](uint64_t n) {
        api::Services t = only_first();
        t.services[0].destinations.clear();
        t.services[0].counts = {n, 0, 0, 0, 0};
        const std::string out = list_services(t, {.listing = Listing::stats}, numeric_names());
        return out.substr(out.rfind("TCP") + 33, 9);
    };
    EXPECT_EQ(shown(99'999'999), " 99999999");
    EXPECT_EQ(shown(100'000'000), "  100000K");
    EXPECT_EQ(shown(999'999'999), "  999999K");
    EXPECT_EQ(shown(1'000'000'000), "    1000M");
    EXPECT_EQ(shown(99'999'999'999), "   99999M");
    EXPECT_EQ(shown(100'000'000'000), "     100G");
    EXPECT_EQ(shown(100'000'000'000'000), "     100T");
}

TEST(IpvsadmList, NamesAreCutForIpv4) {
    const Names names{[](const Address&) { return std::string(40, 'n'); },
                      [](uint16_t, Protocol) { return std::string("http"); }};
    const std::string out = list_services(only_first(), {.version = false}, names);
    EXPECT_NE(out.find("\nTCP  " + std::string(28, 'n') + " wrr\n"), std::string::npos) << out;
    EXPECT_NE(out.find("  -> " + std::string(28, 'n') + " Masq"), std::string::npos) << out;
}

api::Services richer() {
    api::Services t;
    api::Service https{at("10.0.0.100:443"), Protocol::tcp, "", "wlc", {}, {}, {}};
    https.persistence = 300;
    https.netmask = "255.255.255.0";
    https.destinations = {dest("127.0.0.1:443", "Route", 100, 0, 0)};
    https.rates = {12, 345, 300, 45678, 123456789};
    https.destinations[0].rates = {8, 230, 200, 30000, 1234567890};
    api::Service dns{at("10.0.0.53:53"), Protocol::udp, "", "rr", {}, {}, {}};
    dns.one_packet = true;
    api::Service sip{at("10.0.0.60:5060"), Protocol::udp, "", "rr", {"flag-1"}, {}, {}};
    sip.persistence = 360;
    sip.engine = "sip";
    sip.one_packet = true;
    api::Service seven{at("0.0.0.0:0"), Protocol::any, "", "lc", {}, {}, {}};
    seven.mark = 7;
    seven.destinations = {dest("10.0.1.31:0", "Tunnel", 1, 0, 0),
                          dest("10.0.1.30:0", "Tunnel", 1, 0, 0),
                          dest("10.0.1.29:0", "Tunnel", 1, 0, 0)};
    seven.destinations[0].tunnel = "gre";
    seven.destinations[0].tunnel_checksum = "csum";
    seven.destinations[1].tunnel = "gue";
    seven.destinations[1].tunnel_port = 5555;
    seven.destinations[1].tunnel_checksum = "nocsum";
    seven.destinations[2].tunnel = "ipip";
    api::Service nine{at("[::]:0"), Protocol::any, "", "mh", {"mh-fallback"}, {}, {}};
    nine.mark = 9;
    nine.persistence = 50;
    nine.netmask = "64";
    nine.destinations = {dest("[2001:db8::31]:0", "Route", 1, 0, 0)};
    api::Service last{at("0.0.0.0:0"), Protocol::any, "", "wlc", {}, {}, {}};
    last.mark = 4294967295;
    t.services = {nine, seven, sip, dns, https, last};
    return t;
}

TEST(IpvsadmList, PersistenceMarksAndTunnels) {
    EXPECT_EQ(
        list_services(richer(), {.listing = Listing::tunnels, .version = false}, numeric_names()),
        "Prot LocalAddress:Port Scheduler Flags\n"
        "  -> RemoteAddress:Port           Forward TunnelInfo    Weight ActiveConn InActConn\n"
        "FWM  -1 wlc\n"
        "TCP  10.0.0.100:443 wlc persistent 300 mask 255.255.255.0\n"
        "  -> 127.0.0.1:443                Route   n/a           100    0          0         \n"
        "UDP  10.0.0.53:53 rr ops\n"
        "UDP  10.0.0.60:5060 rr (flag-1) persistent 360 pe sip ops\n"
        "FWM  7 lc\n"
        "  -> 10.0.1.29:0                  Tunnel  ipip          1      0          0         \n"
        "  -> 10.0.1.30:0                  Tunnel  gue:5555:-c   1      0          0         \n"
        "  -> 10.0.1.31:0                  Tunnel  gre:+c        1      0          0         \n"
        "FWM  9 IPv6 mh (mh-fallback) persistent 50 mask 64\n"
        "  -> [2001:db8::31]:0             Route   n/a           1      0          0         \n");
}

TEST(IpvsadmList, RatesOfServersAreNotRoundedButTheirBytes) {
    api::Services t = richer();
    t.services = {t.services[4]};
    EXPECT_EQ(list_services(t, {.listing = Listing::rate, .version = false}, numeric_names()),
              "Prot LocalAddress:Port                 CPS    InPPS   OutPPS    InBPS   OutBPS\n"
              "  -> RemoteAddress:Port\n"
              "TCP  10.0.0.100:443                     12      345      300    45678  123456K\n"
              "  -> 127.0.0.1:443                       8      230      200    30000    1234M\n");
}

TEST(IpvsadmSave, CommandsThatMakeTheTable) {
    EXPECT_EQ(save_services(richer(), numeric_names()),
              "-A -f -1 -s wlc\n"
              "-A -t 10.0.0.100:443 -s wlc -p 300 -M 255.255.255.0\n"
              "-a -t 10.0.0.100:443 -r 127.0.0.1:443 -g -w 100\n"
              "-A -u 10.0.0.53:53 -s rr -o\n"
              "-A -u 10.0.0.60:5060 -s rr -p 360 --pe sip -o -b flag-1\n"
              "-A -f 7 -s lc\n"
              "-a -f 7 -r 10.0.1.29:0 -i -w 1 --tun-type ipip\n"
              "-a -f 7 -r 10.0.1.30:0 -i -w 1 --tun-type gue --tun-port 5555 --tun-nocsum\n"
              "-a -f 7 -r 10.0.1.31:0 -i -w 1 --tun-type gre --tun-csum\n"
              "-A -f 9 -6 -s mh -p 50 -M 64 -b mh-fallback\n"
              "-a -f 9 -6 -r [2001:db8::31]:0 -g -w 1\n");
}

TEST(IpvsadmConnections, Rows) {
    const Names n = numeric_names();
    EXPECT_TRUE(
        connections_title(true).ends_with("  destination        pe name          pe_data\n"));
    EXPECT_EQ(connections_title(),
              "IPVS connection entries\n"
              "pro expire state       source             virtual            destination\n");
    EXPECT_EQ(connection_row({Protocol::tcp, "ESTABLISHED", 14 * 60 + 53, at("192.168.1.5:54321"),
                              at("10.0.0.100:80"), at("10.0.1.11:8080")},
                             n),
              "TCP 14:53  ESTABLISHED 192.168.1.5:54321  10.0.0.100:80      10.0.1.11:8080\n");
    EXPECT_EQ(connection_row({Protocol::tcp, "ESTABLISHED", 14 * 60 + 53, at("[2001:db8::5]:49152"),
                              at("[2001:db8::100]:80"), at("[2001:db8:1::11]:8080")},
                             n),
              "TCP 14:53  ESTABLISHED [2001:db8::5]:49152 [2001:db8::100]:80 "
              "[2001:db8:1::11]:8080\n");
    EXPECT_EQ(connection_row({Protocol::sctp, "ESTABLISHED", 7205, at("192.168.1.5:54321"),
                              at("10.0.0.100:80"), at("10.0.1.11:8080")},
                             n),
              "SCTP 120:05 ESTABLISHED 192.168.1.5:54321  10.0.0.100:80      10.0.1.11:8080\n");
}

}  // namespace
}  // namespace torii::cli
