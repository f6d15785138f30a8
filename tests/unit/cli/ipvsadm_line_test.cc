// Command lines mean, and are refused, as ipvsadm 1.31 does it.
#include <gtest/gtest.h>

#include <sstream>

#include "control/cli/ipvsadm.h"

namespace torii::cli {
namespace {

tl::expected<Line, Refusal> line(const std::string& text) {
    std::istringstream in(text);
    std::vector<std::string> words;
    for (std::string w; in >> w;) words.push_back(w);
    return read_line(words, "ipvsadm");
}

TEST(IpvsadmLine, BundlesAndSpellings) {
    for (const char* text : {"-L -n -c", "-Lnc", "-lnc", "--list --numeric --connection"}) {
        const auto l = line(text);
        ASSERT_TRUE(l) << text << l.error().message;
        EXPECT_TRUE(l->list.numeric && l->list.connections) << text;
    }
    EXPECT_TRUE(line(""));
    const auto one = line("-Ln --tcp-service=1.2.3.4:80 --stats --exact --nosort --sort");
    ASSERT_TRUE(one) << one.error().message;
    EXPECT_TRUE(one->list.one_service && one->list.stats && one->list.exact && !one->list.sorted);
    EXPECT_EQ(one->list.service, "1.2.3.4:80");
    EXPECT_EQ(line("-L -u 1.2.3.4:53")->list.protocol, Protocol::udp);
    EXPECT_EQ(line("-Ln -X")->list.exact, true);
    EXPECT_EQ(line("-h")->asked, Asked::help);
    EXPECT_EQ(line("--version")->asked, Asked::version);
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
    Spec, Refused,
    testing::Values(
        Bad{"--foo", 255, kTry}, Bad{"-t 10.0.0.1:80 -A", 255, kTry}, Bad{"-s rr", 255, kTry},
        Bad{"--lis", 255, kTry}, Bad{"foo", 255, kTry},
        Bad{"-L --foo", 255, "--foo: unknown option"}, Bad{"-L -t", 255, "-t: missing argument"},
        Bad{"-L --numeric=1", 255, "--numeric: option does not take an argument"},
        Bad{"-L -c -t 10.0.0.1:80", 2,
            "The option 'service-address' conflicts with the 'connection' option in the 'list' "
            "command"},
        Bad{"-L --daemon --timeout", 2,
            "The option 'daemon' conflicts with the 'timeout' option in the 'list' command"},
        Bad{"-L --timeout --persistent-conn", 2, "options conflicts in the list command"},
        Bad{"-L -c --stats", 2, "options conflicts in the list command"},
        Bad{"-L -t 1.1.1.1:1 -u 1.1.1.1:1", 2, "multiple 'service-address' options specified"},
        Bad{"-L -n -n", 2, "multiple 'numeric' options specified"},
        Bad{"-L -s rr", 2, "Illegal 'scheduler' option with the 'list' command"},
        Bad{"-L -w 3 -r 1.1.1.1", 2, "Illegal 'real-server' option with the 'list' command"},
        Bad{"-L -m", 2, "Illegal 'forwarding-method' option with the 'list' command"},
        Bad{"-L -D", 2, "invalid option `-D'"}, Bad{"-L x", 2, "unexpected argument x"},
        Bad{"-A -t 1.1.1.1:1", 2,
            "-A is not part of this version of torii: change the configuration and run 'torii "
            "reload'"}));

TEST(IpvsadmLine, ServiceAddresses) {
    const auto e = [](const char* text) { return parse_host_port(text, Protocol::tcp); };
    EXPECT_EQ(to_string(*e("10.0.0.1:80")), "10.0.0.1:80");
    EXPECT_EQ(to_string(*e("10.0.0.1:http")), "10.0.0.1:80");
    EXPECT_EQ(to_string(*e("10.0.0.1")), "10.0.0.1:0");
    EXPECT_EQ(to_string(*e("10.1:80")), "10.0.0.1:80");
    EXPECT_EQ(to_string(*e("[2001:db8::1]:80")), "[2001:db8::1]:80");
    EXPECT_EQ(to_string(*e("2001:db8::1")), "[2001:db8::1]:0");
    for (const char* bad :
         {"80", "", "[::1]", "10.0.0.1:99999", "10.0.0.1:nosuchservice", "[x]:1"}) {
        const auto refused = e(bad);
        ASSERT_FALSE(refused) << bad;
        EXPECT_EQ(refused.error().message, "illegal virtual server address[:port] specified");
    }
}

}  // namespace
}  // namespace torii::cli
