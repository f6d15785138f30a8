#include "control/api/rows.h"

#include <gtest/gtest.h>

namespace torii::api {
namespace {

std::vector<Service> example() {
    Service s;
    s.endpoint = *parse_endpoint("[2001:db8::1]:80");
    s.protocol = Protocol::udp;
    s.scheduler = "sh";
    s.scheduler_flags = {"sh-port", "sh-fallback"};
    s.counts = {1, 2, 3, 4, ~0ull};
    s.rates = {6, 7, 8, 9, 10};
    s.persistence = 300;
    s.netmask = "64";
    s.one_packet = true;
    s.engine = "sip";
    Destination d;
    d.endpoint = *parse_endpoint("10.0.0.1:1");
    d.forward = "Tunnel";
    d.weight = 65535, d.upper = 2, d.lower = 1;
    d.active = 4, d.inactive = 5, d.persistent = 6;
    d.tunnel = "gue", d.tunnel_port = 6080, d.tunnel_checksum = "remcsum";
    d.counts = {5, 4, 3, 2, 1};
    d.rates = {1, 1, 2, 3, 5};
    Destination plain;
    plain.endpoint = *parse_endpoint("[2001:db8::2]:80");
    plain.forward = "Masq";
    s.destinations = {d, plain};
    Service mark;
    mark.protocol = Protocol::any;
    mark.mark = 4000000000;
    mark.scheduler = "none";
    mark.scheduler_flags = {""};  // flags that its scheduler does not know
    return {s, mark};
}

std::vector<std::string> lines(const std::vector<Service>& all) {
    std::string text;
    for (const Service& s : all) append_rows(text, s);
    std::vector<std::string> out;
    for (size_t from = 0, end; (end = text.find('\n', from)) != text.npos; from = end + 1)
        out.push_back(text.substr(from, end - from));
    return out;
}

TEST(Rows, BringOverEverythingButNames) {
    std::vector<Service> back;
    for (const std::string& line : lines(example())) ASSERT_TRUE(take_row(back, line)) << line;
    EXPECT_EQ(back, example());
}

TEST(Rows, ACutOrAlteredLineIsRefusedOrAnother) {
    const auto good = lines(example());
    for (const std::string& line : good) {
        std::vector<Service> before(1);
        for (size_t cut = 0; cut < line.size(); ++cut) {
            std::vector<Service> all = before;
            if (take_row(all, line.substr(0, cut))) {
                EXPECT_NE(all, before);
            }
        }
        for (size_t i = 0; i < line.size(); ++i) {
            std::string bad = line;
            bad[i] = '\t';
            std::vector<Service> all = before;
            if (line[i] != '\t') {
                EXPECT_FALSE(take_row(all, bad)) << bad;
            }
        }
        std::vector<Service> all = before;
        EXPECT_FALSE(take_row(all, line + "\t0"));
    }
    std::vector<Service> none;
    EXPECT_FALSE(take_row(none, good[1])) << "a server of no service";
    EXPECT_FALSE(take_row(none, ""));
    EXPECT_FALSE(take_row(none, "X\t1"));
}

}  // namespace
}  // namespace torii::api
