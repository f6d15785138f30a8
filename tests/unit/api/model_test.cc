#include "control/api/model.h"

#include <gtest/gtest.h>

namespace torii::api {
namespace {

TEST(Model, SurvivesItsJson) {
    Services s;
    s.table_buckets = 4096;
    s.services = {{*parse_endpoint("[2001:db8::1]:80"),
                   Protocol::udp,
                   "name \"\xff\"",
                   "sh",
                   {"sh-port"},
                   {1, 2, 3, 4, ~0ull},
                   {{*parse_endpoint("10.0.0.1:1"), "w", "Masq", 1, 2, 3, 4, 5, 6, {}, "known"}}}};
    auto back = from_json<Services>(to_json(s));
    ASSERT_TRUE(back) << back.error().message;
    s.services[0].name = "name \"\xef\xbf\xbd\"";  // what is no UTF-8 is replaced, not thrown at
    EXPECT_EQ(*back, s);

    Status status;
    status.verdicts = {{"nat_request", 7}};
    status.generation.services = {5, 4};
    status.ports = {{"p", "eth0", "02:00:00:00:00:01", 4, 1500}};
    EXPECT_EQ(*from_json<Status>(to_json(status)), status);
    const Ready ready{false, {"a"}, {"b"}};
    EXPECT_EQ(*from_json<Ready>(to_json(ready)), ready);
    const ReloadOutcome outcome{true, {}, {"note"}};
    EXPECT_EQ(*from_json<ReloadOutcome>(to_json(outcome)), outcome);
    const Connection c{Protocol::tcp, "NONE", 3, {}, *parse_endpoint("1.2.3.4:5"), {}};
    EXPECT_EQ(*from_json<Connection>(to_json(c)), c);
}

TEST(Model, ForeignTextIsAnError) {
    for (const char* text : {"", "{", "[]", "null", "{\"ready\": 3}", "{\"ready\": true}"})
        EXPECT_FALSE(from_json<Ready>(text)) << text;
    EXPECT_FALSE(from_json<Connection>(
        R"({"protocol":"tcp","state":"","expires_seconds":1,"client":"nonsense","virtual_service":"1.2.3.4:5","backend":"1.2.3.4:5"})"));
    EXPECT_EQ(error_message(error_json("why")), "why");
    EXPECT_EQ(error_message("plain"), "plain");
}

}  // namespace
}  // namespace torii::api
