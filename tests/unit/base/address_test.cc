#include "config/base/address.h"

#include <gtest/gtest.h>

#include "config/base/units.h"

namespace torii {
namespace {

TEST(Address, PrintsWhatItParses) {
    for (const char* text : {"192.0.2.1", "0.0.0.0", "2001:db8::1", "::", "fe80::1:2"}) {
        auto a = parse_address(text);
        ASSERT_TRUE(a) << text;
        EXPECT_EQ(to_string(*a), text);
    }
}

TEST(Address, RefusesWhatIsNotOne) {
    for (const char* text :
         {"", "10.1", "1.2.3.256", "example.com", "1.2.3.4/8", "[::1]", " 1.2.3.4", "1.2.3.4 "})
        EXPECT_FALSE(parse_address(text)) << text;
    EXPECT_FALSE(parse_address(std::string_view("1.2.3.4\0x", 9)));
}

TEST(Address, KnowsItsFamilyAndKind) {
    EXPECT_TRUE(parse_address("10.0.0.1")->is_v4());
    EXPECT_FALSE(parse_address("2001:db8::1")->is_v4());
    EXPECT_TRUE(parse_address("224.0.0.18")->is_multicast());
    EXPECT_TRUE(parse_address("ff02::12")->is_multicast());
    EXPECT_TRUE(parse_address("127.1.2.3")->is_loopback());
    EXPECT_TRUE(parse_address("fe80::1")->is_link_local());
}

TEST(Prefix, ContainsItsBlockAndNothingElse) {
    const Prefix p = *parse_prefix("192.0.2.128/25");
    EXPECT_TRUE(p.contains(*parse_address("192.0.2.255")));
    EXPECT_FALSE(p.contains(*parse_address("192.0.2.127")));
    EXPECT_FALSE(p.contains(*parse_address("2001:db8::1")));
    EXPECT_TRUE(parse_prefix("::/0")->contains(*parse_address("2001:db8::1")));
    EXPECT_FALSE(parse_prefix("0.0.0.0/33"));
    EXPECT_EQ(to_string(parse_prefix("2001:db8:1:2::5/32")->masked()), "2001:db8::/32");
}

TEST(Endpoint, NeedsBracketsForIpv6Only) {
    EXPECT_EQ(to_string(*parse_endpoint("[2001:db8::1]:80")), "[2001:db8::1]:80");
    EXPECT_EQ(parse_endpoint("192.0.2.1:8080")->port, 8080);
    for (const char* text : {"192.0.2.1", "[192.0.2.1]:80", "2001:db8::1:80", "192.0.2.1:65536",
                             "192.0.2.1:", ":80", "[::1]80"})
        EXPECT_FALSE(parse_endpoint(text)) << text;
}

TEST(Mac, PrintsWhatItParses) {
    EXPECT_EQ(to_string(*parse_mac("02:00:5e:10:00:ff")), "02:00:5e:10:00:ff");
    for (const char* text :
         {"", "02:00:5e:10:00", "02-00-5e-10-00-ff", "02:00:5e:10:00:ff:", "g2:00:5e:10:00:ff"})
        EXPECT_FALSE(parse_mac(text)) << text;
}

TEST(Units, DurationsAndSizes) {
    using namespace std::chrono_literals;
    EXPECT_EQ(*parse_duration("500ms"), 500ms);
    EXPECT_EQ(*parse_duration("50us"), 50us);
    EXPECT_EQ(*parse_duration("5m"), 5min);
    EXPECT_EQ(*parse_duration("7"), 7s);
    EXPECT_EQ(to_string(std::chrono::microseconds(1500ms)), "1500ms");
    EXPECT_EQ(to_string(std::chrono::microseconds(120s)), "2m");
    EXPECT_EQ(*parse_size("64k"), 65536u);
    EXPECT_EQ(*parse_size("1M"), 1048576u);
    for (const char* text : {"", "s", "1.5s", "-1s", "99999999999999999999s", "9999999999d", "1 s"})
        EXPECT_FALSE(parse_duration(text)) << text;
    for (const char* text : {"", "k", "1K", "1Mi", "18446744073709551615G"})
        EXPECT_FALSE(parse_size(text)) << text;
}

}  // namespace
}  // namespace torii
