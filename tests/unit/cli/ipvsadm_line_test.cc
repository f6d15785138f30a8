// Command lines mean, and are refused, as ipvsadm 1.31 does it.
#include "control/cli/ipvsadm_line.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include <sstream>

#include "control/cli/ipvsadm.h"
#include "control/cli/ipvsadm_restore.h"
#include "control/cli/ipvsadm_values.h"

namespace torii::cli {
namespace {

using api::Verb;

tl::expected<Line, Refusal> line(const std::string& text) {
    std::istringstream in(text);
    std::vector<std::string> words;
    for (std::string w; in >> w;) words.push_back(w == "''" ? "" : w);
    return read_line(words, "ipvsadm");
}

api::IpvsCommand change(const std::string& text) {
    const auto l = line(text);
    EXPECT_TRUE(l) << text << ": " << l.error().message;
    return l ? l->change : api::IpvsCommand{};
}

TEST(IpvsadmLine, BundlesAndSpellings) {
    for (const char* text : {"-L -n -c", "-Lnc", "-lnc", "--list --numeric --connection"}) {
        const auto l = line(text);
        ASSERT_TRUE(l) << text << l.error().message;
        EXPECT_TRUE(l->has(Column::numeric) && l->has(Column::connection)) << text;
    }
    EXPECT_EQ(line("")->command, Command::list);
    const auto one = line("-Ln --tcp-service=1.2.3.4:80 --stats --exact --nosort --sort");
    ASSERT_TRUE(one) << one.error().message;
    EXPECT_TRUE(one->has(Column::stats) && one->has(Column::exact) && one->has(Column::nosort));
    EXPECT_EQ(to_string(one->change.service->endpoint), "1.2.3.4:80");
    EXPECT_EQ(line("-L -u 1.2.3.4:53")->change.service->protocol, Protocol::udp);
    EXPECT_TRUE(line("-Ln -X")->has(Column::exact));
    EXPECT_EQ(line("-h -Q")->command, Command::help);
    EXPECT_EQ(line("--version")->command, Command::version);
    EXPECT_EQ(change("-A -t1.1.1.1:92"), change("-A -t=1.1.1.1:92"));
    EXPECT_EQ(change("-Z").service, std::nullopt);
    EXPECT_EQ(change("-Z -f 3").service->mark, 3u);
}

TEST(IpvsadmLine, Services) {
    const auto c = change("-A -t 10.0.0.1:80 -s sh -p 300 -M 255.255.255.0 --pe sip -b sh-port");
    EXPECT_EQ(c.verb, Verb::add_service);
    EXPECT_EQ(c.rule, (api::ServiceRule{"sh", 0x10, 300, 0xffffff00, false, "sip"}));
    EXPECT_EQ(change("-E -t 10.0.0.1 -p").rule,
              (api::ServiceRule{"wlc", 0, 360, 0xffffffff, false, ""}));
    EXPECT_EQ(change("-A -b mh-fallback,mh-port -s mh -u 1.1.1.1:1").rule.flags, 0x18);
    EXPECT_EQ(change("-A -t 1.1.1.1:1 -b flag-3,flag-1").rule.flags, 0x28);
    EXPECT_EQ(change("-A -t [::1]:1 -p -M 64").rule.netmask, 64u);
    // A mask before the address is read as IPv4's, and the address puts its own in its place.
    EXPECT_EQ(change("-A -M 64 -p 5 -t [::1]:82").rule.netmask, 128u);
    EXPECT_EQ(change("-A -t [::1]:83 -p 5 -M 64abc").rule.netmask, 64u);
    EXPECT_EQ(change("-A -t 1.1.1.1:94 -s ''").rule.scheduler, "wlc");
    EXPECT_EQ(change("-A -f 4294967295 -6").service,
              (api::ServiceName{Family::ipv6, Protocol::tcp, {}, 4294967295u}));
    EXPECT_TRUE(change("-A -f 5 -o").rule.one_packet);
}

TEST(IpvsadmLine, Servers) {
    const auto c = change("-a -t 10.0.0.1:80 -r 10.0.0.2 -w 7 -x 9 -y 3");
    EXPECT_EQ(to_string(c.server), "10.0.0.2:80");
    EXPECT_EQ(c.server_rule, (api::ServerRule{"dr", 7, 9, 3, {}}));
    EXPECT_EQ(change("-a -t 10.0.0.1:80 -r 10.0.0.2:99 -g").server.port, 80);
    EXPECT_EQ(change("-a -t 10.0.0.1:80 -r 10.0.0.2:99 -m").server.port, 99);
    EXPECT_EQ(change("-a -f 7 -r 10.0.0.2:99 -i").server.port, 99);
    EXPECT_EQ(change("-a -r 10.0.0.2 -m -t 10.0.0.1:80").server.port, 0);
    EXPECT_EQ(change("-d -t 10.0.0.1:80 -r 10.0.0.2").verb, Verb::delete_server);
    EXPECT_EQ(change("-a -t 10.0.0.1:80 -r 10.0.0.2 -i --tun-type gue --tun-port 5 --tun-remcsum")
                  .server_rule.tunnel,
              (api::TunnelRule{"gue", 5, "remcsum"}));
    EXPECT_EQ(change("-a -t 10.0.0.1:80 -r [::5]:80 -i").server.address.family(), Family::ipv6);
    EXPECT_EQ(change("-e -t 1.1.1.1:80 -r 1.1.1.3 -w +5").server_rule.weight, 5u);
}

TEST(IpvsadmLine, Others) {
    EXPECT_EQ(change("--set 1 0 2678400").timeouts, (std::array<uint32_t, 3>{1, 0, 2678400}));
    EXPECT_EQ(change("--start-daemon=backup --mcast-group ff02::1 --syncid 0").role, "backup");
    EXPECT_EQ(change("--stop-daemon master --syncid 5").verb, Verb::stop_daemon);
    EXPECT_EQ(line("-S -n")->command, Command::save);
    EXPECT_EQ(line("-R")->command, Command::restore);
}

struct Bad {
    const char* text;
    int status;
    const char* message;
};
struct Refused : testing::TestWithParam<Bad> {};
TEST_P(Refused, AsIpvsadmDoes) {
    const auto l = line(GetParam().text);
    ASSERT_FALSE(l) << GetParam().text;
    EXPECT_EQ(l.error().status, GetParam().status);
    EXPECT_EQ(l.error().message, GetParam().message);
}
constexpr const char* kTry = "Try `ipvsadm -h' or 'ipvsadm --help' for more information.";
INSTANTIATE_TEST_SUITE_P(
    Parser, Refused,
    testing::Values(
        Bad{"--foo", 255, kTry}, Bad{"-t 10.0.0.1:80 -A", 255, kTry}, Bad{"-s rr", 255, kTry},
        Bad{"--lis", 255, kTry}, Bad{"foo", 255, kTry}, Bad{"--start-daemon", 255, kTry},
        Bad{"-L --foo", 255, "--foo: unknown option"}, Bad{"-L -t", 255, "-t: missing argument"},
        Bad{"-Lnt", 255, "-Lnt: missing argument"}, Bad{"-LnQ", 255, "-LnQ: unknown option"},
        Bad{"-L --numeric=1", 255, "--numeric=1: option does not take an argument"},
        Bad{"--set 1 -5 3", 255, "-5: unknown option"}, Bad{"-L x", 2, "unexpected argument x"},
        Bad{"x -L", 2, "unexpected argument x"}, Bad{"-L -- -n", 2, "unexpected argument -n"},
        Bad{"--set 0 0 0 7", 2, "unexpected argument 7"}, Bad{"-L -D", 2, "invalid option `-D'"},
        Bad{"-AD", 2, "invalid option `-AD'"},
        Bad{"-A -t 1.1.1.1:1 --start-daemon master", 2, "invalid option `master'"},
        Bad{"-A -t bad:bad --foo", 2, "illegal virtual server address[:port] specified"},
        Bad{"-L -6", 2, "-6 used before -f\n"}));
INSTANTIATE_TEST_SUITE_P(
    Together, Refused,
    testing::Values(
        Bad{"-A", 2,
            "You need to supply the 'service-address' option for the 'add-service' command"},
        Bad{"-A -t 10.0.0.1:80 -s rr -r 1.1.1.1:80", 2,
            "Illegal 'real-server' option with the 'add-service' command"},
        Bad{"-L -c -t 10.0.0.1:80", 2,
            "The option 'service-address' conflicts with the 'connection' option in the 'list' "
            "command"},
        Bad{"-L --daemon --timeout", 2,
            "The option 'daemon' conflicts with the 'timeout' option in the 'list' command"},
        Bad{"-L --timeout --persistent-conn", 2, "options conflicts in the list command"},
        Bad{"-L -c --stats", 2, "options conflicts in the list command"},
        Bad{"-L -t 1.1.1.1:1 -u 1.1.1.1:1", 2, "multiple 'service-address' options specified"},
        Bad{"-L -n -n", 2, "multiple 'numeric' options specified"},
        Bad{"-a -t 1.1.1.1:1 -r 1.1.1.2 -m -i", 2,
            "multiple 'forwarding-method' options specified"},
        Bad{"-L -s rr", 2, "Illegal 'scheduler' option with the 'list' command"},
        Bad{"-L -w 3 -r 1.1.1.1", 2, "Illegal 'real-server' option with the 'list' command"},
        Bad{"-C -n", 2, "Illegal 'numeric' option with the 'flush' command"},
        Bad{"-R -n", 2, "Illegal 'numeric' option with the 'restore' command"},
        Bad{"-d -t 1.1.1.1:80 -r 1.1.1.8 -m", 2,
            "Illegal 'forwarding-method' option with the 'delete-server' command"},
        Bad{"-d -t 1.1.1.1:80", 2,
            "You need to supply the 'real-server' option for the 'delete-server' command"},
        Bad{"--start-daemon master -n", 2,
            "Illegal 'numeric' option with the 'start-daemon' command"},
        Bad{"-A -t 1.1.1.1", 2, "Zero port specified for non-persistent service"},
        Bad{"-A -t 1.1.1.1:84 -o", 2, "One-Packet Scheduling is only for UDP virtual services"},
        Bad{"-a -t 1.1.1.1:80 -r [::5]:80", 2,
            "Different address family is allowed only for tunneling servers"}));
INSTANTIATE_TEST_SUITE_P(
    Values, Refused,
    testing::Values(
        Bad{"-A -t 80", 2, "illegal virtual server address[:port] specified"},
        Bad{"-a -t 10.0.0.1:80 -r 5", 2, "illegal real server address[:port] specified"},
        Bad{"-A -t 10.0.0.1:80 -p 0", 2, "invalid timeout value `0' specified"},
        Bad{"-A -t 10.0.0.1:80 -p 2678401", 2, "invalid timeout value `2678401' specified"},
        Bad{"-A -f 0", 2, "invalid fwmark value `0' specified"},
        Bad{"-A -f 4294967296", 2, "invalid fwmark value `4294967296' specified"},
        Bad{"-A -f 1 -6 -M 0", 2, "illegal ipv6 netmask specified"},
        Bad{"-A -t 10.0.0.1:80 -M foo", 2, "illegal virtual server persistent mask specified"},
        Bad{"-A -t 1.1.1.1:85 -s rr -b foo", 2, "invalid scheduler flag `foo'"},
        Bad{"-L -b foo", 2, "invalid scheduler flag `foo'"},
        Bad{"-A -t 10.0.0.1:80 -b sh-port", 2, "incompatible scheduler flag `sh-port'"},
        Bad{"-a -t 10.0.0.1:80 -r 10.0.0.2 -w 65536", 2, "illegal weight specified"},
        Bad{"-a -t 10.0.0.1:80 -r 10.0.0.2 -w 0x7", 2, "illegal weight specified"},
        Bad{"-a -t 10.0.0.1:80 -r 10.0.0.2 -x -1", 2, "illegal u_threshold specified"},
        Bad{"-a -t 10.0.0.1:80 -r 10.0.0.2 -y a", 2, "illegal l_threshold specified"},
        Bad{"--set 1 2", 2, "--set option requires 3 timeout values"},
        Bad{"--set 1 2 x", 2, "invalid timeout value `x' specified"},
        Bad{"--start-daemon foo", 2, "illegal start-daemon parameter specified"},
        Bad{"--stop-daemon foo", 2, "illegal start_daemon specified"},
        Bad{"--start-daemon master --mcast-group 10.0.0.1", 2,
            "invalid IPv4 mcast-group `10.0.0.1'"},
        Bad{"--start-daemon master --mcast-group fe80::1", 2, "invalid IPv6 mcast-group `fe80::1'"},
        Bad{"--start-daemon master --mcast-ttl 0", 2, "illegal mcast-ttl specified"},
        Bad{"--start-daemon master --mcast-port 0", 2, "illegal mcast-port specified"},
        Bad{"--start-daemon master --sync-maxlen 70000", 2, "illegal sync-maxlen specified"},
        Bad{"-L --syncid 256", 2, "illegal syncid specified"}));
INSTANTIATE_TEST_SUITE_P(
    Tunnels, Refused,
    testing::Values(
        Bad{"-a -t 1.1.1.1:80 -r 1.1.1.9 -m --tun-type gue", 2,
            "Tunnel options conflict with forward method"},
        Bad{"-a -t 1.1.1.1:80 -r 1.1.1.9 -i --tun-type foo", 2, "illegal tunnel type specified"},
        Bad{"-a -t 1.1.1.1:80 -r 1.1.1.9 -i --tun-port 0", 2, "illegal tunnel port specified"},
        Bad{"-a -t 1.1.1.1:80 -r 1.1.1.9 -i --tun-type gue", 2,
            "You need to supply the 'tun-port' option for the 'gue' tunnel type"},
        Bad{"-a -t 1.1.1.1:80 -r 1.1.1.9 -i --tun-port 5", 2,
            "Illegal 'tun-port' option with the 'ipip' tunnel type"},
        Bad{"-a -t 1.1.1.1:80 -r 1.1.1.9 -i --tun-csum", 2,
            "Illegal 'tun-csum' option with the 'ipip' tunnel type"},
        Bad{"-a -t 1.1.1.1:80 -r 1.1.1.9 -i --tun-type gre --tun-csum --tun-nocsum", 2,
            "The option 'tun-csum' conflicts with the 'tun-nocsum' option in the 'gre' tunnel "
            "type"},
        Bad{"-L=n", 255, "Try `ipvsadm -h' or 'ipvsadm --help' for more information."},
        Bad{"-L -Xn=", 255, "-Xn=: option does not take an argument"},
        Bad{"--start-daemon master --mcast-group ::ffff:224.0.0.1", 2,
            "invalid IPv6 mcast-group `::ffff:224.0.0.1'"},
        Bad{"-A -t 1.1.1.1:80 --tun-csum", 2,
            "Illegal 'tun-csum' option with the 'add-service' command"}));

TEST(IpvsadmLine, OnlyTheParsersErrorsLetARestoreGoOn) {
    EXPECT_FALSE(line("-L --foo").error().last);
    EXPECT_TRUE(line("--foo").error().last);
    EXPECT_TRUE(line("-A").error().last);
}

TEST(IpvsadmLine, ServiceAddresses) {
    const auto e = [](const char* text) {
        const auto at = parse_host_port(text, Protocol::tcp);
        return at ? to_string(at->endpoint) : "illegal";
    };
    EXPECT_EQ(e("10.0.0.1:80"), "10.0.0.1:80");
    EXPECT_EQ(e("10.0.0.1:http"), "10.0.0.1:80");
    EXPECT_EQ(e("10.0.0.1"), "10.0.0.1:0");
    EXPECT_EQ(e("10.1:80"), "10.0.0.1:80");
    EXPECT_EQ(e("[2001:db8::1]:80"), "[2001:db8::1]:80");
    EXPECT_EQ(e("2001:db8::1"), "[2001:db8::1]:0");
    EXPECT_EQ(e("[10.0.0.1]:80"), "10.0.0.1:0");  // a quirk
    for (const char* bad :
         {"80", "", "[::1]", "[::1", "10.0.0.1:99999", "10.0.0.1:nosuchservice", "[x]:1"})
        EXPECT_EQ(e(bad), "illegal") << bad;
}

TEST(IpvsadmRestore, Words) {
    using V = std::vector<std::string>;
    EXPECT_EQ(restore_words("  ipvsadm -A\t-t  1.1.1.1:80 "), (V{"-A", "-t", "1.1.1.1:80"}));
    EXPECT_EQ(restore_words("ipvsadm"), V{});
    EXPECT_EQ(restore_words("-A -t ipvsadm 1.1.1.1:80"), (V{"-A", "-t", "1.1.1.1:80"}));
    EXPECT_EQ(restore_words("# x"), (V{"#", "x"}));
    // Only these are blanks; a word ends at a zero byte, and where ipvsadm has no more room.
    EXPECT_EQ(restore_words("-A\r-t\v\f1"), (V{"-A", "-t\v\f1"}));
    EXPECT_EQ(restore_words(std::string_view("-A\0x -t", 7)), (V{"-A", "-t"}));
    EXPECT_EQ(restore_words(std::string(4097, 'x')), (V{std::string(4096, 'x'), "x"}));
}

std::string lines_of(const std::string& text, bool keeps_last) {
    int ends[2];
    EXPECT_EQ(::pipe(ends), 0);
    EXPECT_EQ(::write(ends[1], text.data(), text.size()), ssize_t(text.size()));
    ::close(ends[1]);
    LineSource source(ends[0], keeps_last);
    std::string out;
    while (const auto one = source.next()) out += "<" + *one + ">";
    ::close(ends[0]);
    return out;
}

TEST(IpvsadmRestore, ALastLineWithoutEndIsLostBehindTwoBlanks) {
    EXPECT_EQ(lines_of("a\nb", false), "<a><b>");
    EXPECT_EQ(lines_of("a\nb ", false), "<a><b >");
    EXPECT_EQ(lines_of("a\nb \t", false), "<a>");
    EXPECT_EQ(lines_of("a\nb \t\n", false), "<a><b \t>");
    EXPECT_EQ(lines_of("a\nb \t", true), "<a><b \t>");
}

TEST(IpvsadmLine, IPv4InIPv6IsIPv6) {
    const auto service = line("-A -t [::ffff:10.0.0.1]:80");
    ASSERT_TRUE(service);
    EXPECT_TRUE(service->change.service->mapped());
    EXPECT_EQ(service->change.rule.netmask, 128u);
    EXPECT_FALSE(line("-A -t 10.0.0.1:80")->change.service->mapped());
    EXPECT_EQ(line("-a -t 10.0.0.1:80 -r [::ffff:10.0.0.2]:80 -m").error().message,
              "Different address family is allowed only for tunneling servers");
    EXPECT_TRUE(line("-a -t 10.0.0.1:80 -r [::ffff:10.0.0.2]:80 -i")->change.server_mapped);
    EXPECT_FALSE(line("-a -t 10.0.0.1:80 -r 10.0.0.2:80 -i")->change.server_mapped);
}

TEST(IpvsadmLine, NumbersAsCReadsThem) {
    EXPECT_EQ(line("-A -f 1 -6 -M 4294967360")->change.rule.netmask, 64u);
    EXPECT_EQ(line("-L -b " + std::string(200, 'x')).error().message,
              "invalid scheduler flag `" + std::string(127, 'x') + "'");
}

TEST(IpvsadmErrors, ByWhatWasAsked) {
    EXPECT_EQ(refusal_of("add_service", "EEXIST"), "Service already exists");
    EXPECT_EQ(refusal_of("add_server", "EEXIST"), "Destination already exists");
    EXPECT_EQ(refusal_of("add_server", "ESRCH"), "Service not defined");
    EXPECT_EQ(refusal_of("zero", "ESRCH"), "No such service");
    EXPECT_EQ(refusal_of("add_server", "ERANGE"), "Numerical result out of range");
    EXPECT_EQ(refusal_of("add_server", "EINVAL"),
              "Invalid operation.  Possibly wrong module version, address not unicast, ...");
}

}  // namespace
}  // namespace torii::cli
