// HTTP probes against servers that are good, wrong, slow and endless.

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/unit/healthcheck/probe_fixture.h"

namespace torii::healthcheck {
namespace {

using config::Health;
using config::HealthType;
using std::chrono::milliseconds;
using test::Connection;
using test::FakeServer;
using ::testing::StartsWith;

FakeServer::Behaviour answering(std::string text) {
    return [text](Connection& c) {
        if (c.receive_until("\r\n\r\n")) c.send(text);
    };
}
std::string ok(std::string body) {
    return "HTTP/1.1 200 OK\r\nContent-Length: " + std::to_string(body.size()) + "\r\n\r\n" + body;
}

TEST_F(Probes, HttpJudgesStatusBodyAndDigest) {
    const auto with = [](auto change) {
        Health h = settings(HealthType::http, kSoon);
        change(h.http);
        return h;
    };
    const auto plain = with([](auto&) {});
    const auto regex = with([](auto& w) { w.body_regex = "h.llo"; });
    const auto no_match = with([](auto& w) { w.body_regex = "h.llo", w.regex_no_match = true; });
    const auto md5 = with([](auto& w) { w.digest = "5D41402ABC4B2A76B9719D911017C592"; });
    const auto sha = with([](auto& w) {
        w.digest = "2cf24dba5fb0a30e26e83b2ac5b9e29e1b161e5c1fa7425e73043362938b9824";
    });
    const auto redirect = with([](auto& w) { w.status = {{301, 302}, {404, 404}}; });
    const auto small = with([](auto& w) { w.body_regex = "x", w.max_body = 8; });
    const auto head = with([](auto& w) { w.method = "HEAD"; });
    const std::string chunked =
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nhel\r\n2\r\nlo\r\n0\r\n\r\n";
    const struct {
        const Health& settings;
        std::string answer, told;
    } rows[] = {
        {plain, ok("hello"), "success"},
        {plain, "HTTP/1.0 204 No Content\r\n\r\n", "success"},
        {plain, "HTTP/1.1 503 Service\x01 Unavailable\r\n\r\n", "protocol: not an HTTP answer: "},
        {plain, "HTTP/1.1 503 Busy\r\nContent-Length: 0\r\n\r\n", "bad_status: HTTP 503 Busy"},
        {plain, "HTTP/1.1 301 Moved\r\nContent-Length: 0\r\n\r\n", "bad_status: HTTP 301 Moved"},
        {redirect, "HTTP/1.1 301 Moved\r\nContent-Length: 0\r\n\r\n", "success"},
        {redirect, ok("hello"), "bad_status: HTTP 200 OK"},
        {plain, "HTTP/1.1 100 Continue\r\n\r\n" + ok("x"), "success"},
        {regex, ok("say hello"), "success"},
        {regex, ok("goodbye"), "mismatch: the body does not match body_regex"},
        {no_match, ok("say hello"), "mismatch: the body matches body_regex"},
        {no_match, ok("goodbye"), "success"},
        {regex, "HTTP/1.0 200 OK\r\n\r\nhello", "success"},  // to the end of the connection
        {regex, chunked, "success"},
        {md5, ok("hello"), "success"},
        {md5, chunked, "success"},
        {sha, ok("hello"), "success"},
        {sha, ok("hallo"), "mismatch: the digest of the body is "},
        {head, "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n", "success"},
        {small, ok("123456789"), "too_large: a body of more than max_body bytes"},
        {regex, "HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nhello", "closed: "},
        {plain, "", "closed: "},
        {plain, "HTTP/1.1 200", "closed: "},
        {plain, "SSH-2.0-OpenSSH_9.2\r\n", "protocol: not an HTTP answer: "},
    };
    for (const auto& r : rows) {
        FakeServer server(answering(r.answer));
        EXPECT_THAT(probe.told(r.settings, server.at()), StartsWith(r.told)) << r.answer;
    }
    EXPECT_EQ(probe.told(plain, nobody()), "refused");
}

TEST_F(Probes, HttpAsksAsItIsTold) {
    std::vector<std::string> asked;
    std::mutex mutex;
    FakeServer server([&](Connection& c) {
        if (!c.receive_until("\r\n\r\n")) return;
        const std::lock_guard lock(mutex);
        asked.push_back(c.received());
        c.send(asked.size() == 2 ? "HTTP/1.1 500 No\r\n\r\n" : ok("x"));
    });
    Health h = settings(HealthType::http);
    EXPECT_EQ(probe.told(h, server.at()), "success");
    h.http.method = "OPTIONS";
    h.http.path = {"/a?b=c", "/second"};
    h.http.host = "www.example.com";
    h.http.headers = {"X-Check: yes"};
    h.http.version = config::HttpVersion::v1_0;
    EXPECT_EQ(probe.told(h, server.at()), "bad_status: /a?b=c: HTTP 500 No");
    EXPECT_EQ(probe.told(h, server.at()), "success");
    ASSERT_EQ(asked.size(), 4u);
    EXPECT_EQ(asked[0], "GET / HTTP/1.1\r\nHost: " + to_string(server.at()) +
                            "\r\nUser-Agent: torii\r\nConnection: close\r\n\r\n");
    EXPECT_EQ(asked[1],
              "OPTIONS /a?b=c HTTP/1.0\r\nHost: www.example.com\r\nUser-Agent: torii\r\n"
              "Connection: close\r\nX-Check: yes\r\n\r\n");
    EXPECT_THAT(asked[3], StartsWith("OPTIONS /second "));
}

TEST_F(Probes, HttpIsBoundedWhateverTheServerDoes) {
    Health h = settings(HealthType::http, kSoon);
    h.http.body_regex = "never";
    FakeServer header([](Connection& c) {
        c.send("HTTP/1.1 200 OK\r\n");
        while (c.send("X-Header: " + std::string(1000, 'x') + "\r\n")) {
        }
    });
    EXPECT_EQ(probe.told(h, header.at()), "too_large: a header of more than 16384 bytes");
    FakeServer line([](Connection& c) {
        while (c.send(std::string(1000, 'H'))) {
        }
    });
    EXPECT_THAT(probe.told(h, line.at()),
                ::testing::AnyOf(StartsWith("too_large"), StartsWith("protocol")));
    FakeServer body([](Connection& c) {
        c.send("HTTP/1.1 200 OK\r\n\r\n");
        while (c.send(std::string(10000, 'x'))) {
        }
    });
    EXPECT_EQ(probe.told(h, body.at()), "too_large: a body of more than max_body bytes");
    FakeServer silent([](Connection& c) { c.stall(); });
    EXPECT_EQ(probe.told(h, silent.at()), "timeout: waiting for the answer");
    FakeServer slow([](Connection& c) {
        if (!c.receive_until("\r\n\r\n")) return;
        for (const char ch : ok("never mind")) {
            if (!c.send({&ch, 1}) || !c.pause(50)) return;
        }
    });
    const Result r = probe(h, slow.at());
    EXPECT_EQ(r.reason, Reason::timeout);
    EXPECT_EQ(r.detail, "reading the answer");
    EXPECT_LT(r.took, milliseconds(600));
    FakeServer resetting([](Connection& c) {
        if (c.receive_until("\r\n\r\n")) c.reset();
    });
    EXPECT_EQ(probe.told(h, resetting.at()), "reset");
    h.http.body_regex = "(a+)+$";
    FakeServer evil(answering(ok(std::string(40, 'a') + "b")));
    EXPECT_THAT(probe.told(h, evil.at()), StartsWith("mismatch: body_regex could not be tried"));
}

}  // namespace
}  // namespace torii::healthcheck
