#include "control/metrics/metrics.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace torii::metrics {
namespace {

using testing::HasSubstr;

TEST(Metrics, CarryTheLabelsAndNumbersOfTheApi) {
    api::Status s;
    s.version = "1.2";
    s.instance = "edge\"1";
    s.verdicts = {{"nat_request", 7}};
    s.received = 9;
    s.dataplane_up = true;
    s.generation.services = {5, 4};
    s.table.capacity = 1024;
    api::Services all;
    all.services = {{*parse_endpoint("192.0.2.1:80"),
                     Protocol::tcp,
                     "www",
                     "rr",
                     {},
                     {3, 10, 20, 1000, (1ull << 53) - 1},
                     {{*parse_endpoint("10.0.0.1:8080"), "w", "Masq", 5, 0, 0, 2, 1, 0, {3}, ""},
                      {*parse_endpoint("10.0.0.2:8080"), "w", "Masq", 0, 0, 0, 4, 0, 0, {}, ""}}}};
    api::Health health;
    health.checks.resize(1);
    health.checks[0].type = "tcp";
    health.checks[0].target = "10.0.0.1:81";
    health.checks[0].up = true;
    health.checks[0].duration_us = 1500;
    health.checks[0].servers = {{"www", "192.0.2.1:80/tcp", "w", "10.0.0.1:8080"}};
    health.results["tcp"]["refused"] = 4;
    health.services = {{"192.0.2.1:80/tcp", false, 1, 2}};
    const std::string out = exposition(s, all, {}, health);
    for (const char* line : {
             "# TYPE torii_packets_total counter\n",
             "torii_packets_total{verdict=\"nat_request\"} 7\n",
             "torii_packets_received_total 9\n",
             "torii_service_connections_total{service=\"www\",protocol=\"tcp\",virtual="
             "\"192.0.2.1:80\"} 3\n",
             "torii_service_bytes_total{service=\"www\",protocol=\"tcp\",virtual=\"192.0.2.1:80\","
             "direction=\"out\"} 9007199254740991\n",
             "torii_service_connections_active{service=\"www\",protocol=\"tcp\",virtual="
             "\"192.0.2.1:80\"} 6\n",
             "torii_backend_weight{service=\"www\",protocol=\"tcp\",virtual=\"192.0.2.1:80\","
             "backend=\"10.0.0.1:8080\"} 5\n",
             "torii_generation{kind=\"services\",state=\"published\"} 5\n",
             "torii_generation{kind=\"services\",state=\"in_force\"} 4\n",
             "torii_dataplane_up 1\n",
             "torii_check_up{service=\"www\",virtual=\"192.0.2.1:80/"
             "tcp\",backend=\"10.0.0.1:8080\","
             "type=\"tcp\",target=\"10.0.0.1:81\"} 1\n",
             "torii_check_results_total{type=\"tcp\",reason=\"refused\"} 4\n",
             "torii_service_quorum{virtual=\"192.0.2.1:80/tcp\"} 0\n",
             "torii_service_servers_up{virtual=\"192.0.2.1:80/tcp\"} 1\n",
             "torii_build_info{version=\"1.2\",instance=\"edge\\\"1\"} 1\n",
         })
        EXPECT_THAT(out, HasSubstr(line));
}

TEST(Metrics, EveryOneIsInTheReference) {
    const std::string page = exposition({}, {}, {}), table = reference();
    size_t count = 0;
    for (size_t at = page.find("# TYPE "); at != std::string::npos;
         at = page.find("# TYPE ", at + 1)) {
        const std::string name = page.substr(at + 7, page.find(' ', at + 7) - at - 7);
        EXPECT_THAT(table, HasSubstr("`" + name + "`"));
        ++count;
    }
    EXPECT_GT(count, 20u);
}

}  // namespace
}  // namespace torii::metrics
