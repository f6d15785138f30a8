// Every probe against servers that are good, wrong, silent, slow, endless, or gone.

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>

#include "healthcheck/dns_message.h"
#include "healthcheck/text.h"
#include "tests/unit/healthcheck/probe_fixture.h"

namespace torii::healthcheck {
namespace {

using config::Health;
using config::HealthType;
using std::chrono::milliseconds;
using test::Connection;
using test::FakeDatagramServer;
using test::FakeServer;
using ::testing::HasSubstr;

TEST_F(Probes, TcpIsUpWhenTheConnectionStands) {
    FakeServer server([](Connection& c) { c.stall(); });
    EXPECT_EQ(probe.told(settings(HealthType::tcp), server.at()), "success");
    EXPECT_EQ(probe.told(settings(HealthType::tcp), nobody()), "refused");
    Health h = settings(HealthType::tcp);
    h.bind = *parse_address("192.0.2.77");
    EXPECT_EQ(probe.told(h, server.at()), "local: bind: Cannot assign requested address");
    h = settings(HealthType::tcp);
    h.interface = "nonexistent0";
    EXPECT_EQ(probe.told(h, server.at()), "local: interface: No such device");
}

TEST_F(Probes, ATcpServerWhoseQueueIsFullTimesOut) {
    const int listener = test::bound(SOCK_STREAM);
    ::listen(listener, 0);
    const Endpoint at = test::loopback(test::port_of(listener));
    std::vector<std::string> told;
    // The kernel holds one or two connections that nobody accepts; further ones get no answer.
    std::vector<int> held;
    for (int n = 0; n < 3; ++n) {
        held.push_back(::socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0));
        sockaddr_in a{};
        a.sin_family = AF_INET;
        a.sin_port = htons(at.port);
        a.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
        ::connect(held.back(), reinterpret_cast<sockaddr*>(&a), sizeof a);
    }
    EXPECT_EQ(probe.told(settings(HealthType::tcp, kSoon), at),
              "timeout: no answer to the connection request");
    for (const int fd : held) ::close(fd);
    ::close(listener);
}

// --- SMTP

FakeServer::Behaviour smtp(std::string greeting, std::string ehlo,
                           std::string helo = "250 hi\r\n") {
    return [=](Connection& c) {
        if (!c.send(greeting) || !c.receive_until("\r\n")) return;
        c.forget();
        if (!c.send(ehlo) || !c.receive_until("\r\n")) return;
        if (c.received().starts_with("HELO")) {
            c.forget();
            if (!c.send(helo) || !c.receive_until("\r\n")) return;
        }
        c.send("221 bye\r\n");
    };
}

TEST_F(Probes, SmtpTalksToTheEnd) {
    Health h = settings(HealthType::smtp, kSoon);
    Health tls = h;
    tls.smtp.starttls = true;
    const struct {
        const Health& settings;
        FakeServer::Behaviour behaviour;
        const char* told;
    } rows[] = {
        {h, smtp("220 mail\r\n", "250 hello\r\n"), "success"},
        {h, smtp("220-one\r\n220-two\r\n220 three\r\n", "250-a\r\n250-SIZE 1\r\n250 STARTTLS\r\n"),
         "success"},
        {h, smtp("220 mail\r\n", "502 what?\r\n"), "success"},
        {h, smtp("220 mail\r\n", "502 what?\r\n", "550 no\r\n"), "bad_status: EHLO: 550 no"},
        {h, smtp("220 mail\r\n", "421 busy\r\n"), "bad_status: EHLO: 421 busy"},
        {h, smtp("554 go away\r\n", ""), "bad_status: greeting: 554 go away"},
        {h, smtp("220-one\r\n250 two\r\n", ""), "protocol: not an SMTP reply: '250 two'"},
        {h, smtp("HTTP/1.1 400\r\n", ""), "protocol: not an SMTP reply: 'HTTP/1.1 400'"},
        {h, [](Connection& c) { c.send("220 ma"); },
         "closed: the server closed the connection in the middle of its answer"},
        {h, [](Connection& c) { c.stall(); }, "timeout: waiting for the greeting"},
        {tls, smtp("220 mail\r\n", "250 hello\r\n"),
         "mismatch: the server does not offer STARTTLS"},
        {h,
         [](Connection& c) {
             while (c.send("220-" + std::string(60, 'x') + "\r\n")) {
             }
         },
         "too_large: a reply of more than 128 lines"},
        {h,
         [](Connection& c) {
             while (c.send(std::string(1000, '2'))) {
             }
         },
         "too_large: a line of more than 1000 bytes"},
    };
    for (const auto& r : rows) {
        FakeServer server(r.behaviour);
        EXPECT_EQ(probe.told(r.settings, server.at()), r.told);
    }
}

// --- UDP, DNS, ICMP

TEST_F(Probes, UdpNeedsAReplyOnlyWhereItIsWanted) {
    FakeDatagramServer echo([](std::string_view s) { return "re:" + std::string(s); });
    FakeDatagramServer silent([](std::string_view) { return ""; });
    Health h = settings(HealthType::udp, milliseconds(150));
    h.udp.payload = "hex:616263";
    EXPECT_EQ(probe.told(h, echo.at()), "success");
    EXPECT_EQ(probe.told(h, silent.at()), "success");
    EXPECT_EQ(probe.told(h, nobody(SOCK_DGRAM)), "refused");
    h.udp.require_reply = true;
    EXPECT_EQ(probe.told(h, silent.at()), "timeout: no reply");
    h.udp.reply = "hex:72653aX1";
    EXPECT_EQ(probe.told(h, echo.at()), "success");
    h.udp.reply = "re:abd";
    EXPECT_EQ(probe.told(h, echo.at()), "mismatch: the reply begins with 're:abc'");
}

/// A reply to the query: flags, and records as they lie in the message.
std::string dns_reply(std::string_view query, uint8_t code, std::string records,
                      uint8_t count = 1) {
    std::string m(query);
    m[2] = char(0x80);
    m[3] = char(code);
    m[7] = char(count);
    return m + records;
}
const std::string kA("\xc0\x0c\x00\x01\x00\x01\x00\x00\x00\x3c\x00\x04\xc0\x00\x02\x07", 16);

TEST_F(Probes, DnsJudgesTheAnswer) {
    Health h = settings(HealthType::dns, milliseconds(150));
    h.dns.name = "www.Example.com.";
    h.dns.record = config::DnsRecord::a;
    Health expecting = h;
    expecting.dns.answer = {"192.0.2.8", "192.0.2.7"};
    Health other = h;
    other.dns.answer = {"192.0.2.8"};
    using Make = std::function<std::string(std::string_view)>;
    const struct {
        const Health& settings;
        Make answer;
        const char* told;
    } rows[] = {
        {h, [](auto q) { return dns_reply(q, 0, "", 0); }, "success"},
        {h, [](auto q) { return dns_reply(q, 0, kA); }, "success"},
        {expecting, [](auto q) { return dns_reply(q, 0, kA); }, "success"},
        {other, [](auto q) { return dns_reply(q, 0, kA); }, "mismatch: answered 192.0.2.7"},
        {other, [](auto q) { return dns_reply(q, 0, "", 0); }, "mismatch: answered no such record"},
        {h, [](auto q) { return dns_reply(q, 2, "", 0); }, "bad_status: SERVFAIL"},
        {h, [](auto q) { return dns_reply(q, 3, "", 0); }, "bad_status: NXDOMAIN"},
        {h, [](auto) { return std::string("hello"); },
         "protocol: what came is no answer to the question"},
        {h, [](auto q) { return std::string(q); },
         "protocol: what came is no answer to the question"},
        {h,
         [](auto q) {
             auto m = dns_reply(q, 0, "", 0);
             m[0] ^= 1;
             return m;
         },
         "protocol: what came is no answer to the question"},
        {h, [](auto) { return std::string(); }, "timeout: no answer"},
    };
    for (const auto& r : rows) {
        FakeDatagramServer server(r.answer);
        EXPECT_EQ(probe.told(r.settings, server.at()), r.told);
    }
    EXPECT_EQ(probe.told(h, nobody(SOCK_DGRAM)), "refused");
    FakeServer tcp([](Connection& c) {
        if (!c.receive_until("com")) return;
        const std::string query = c.received().substr(2);
        const std::string m = dns_reply(query, 0, kA);
        c.send(std::string{char(m.size() >> 8), char(m.size())} + m.substr(0, 5));
        if (c.pause(20)) c.send(m.substr(5));
        c.stall();
    });
    expecting.dns.transport = config::DnsTransport::tcp;
    EXPECT_EQ(probe.told(expecting, tcp.at()), "success");
}

TEST(DnsMessage, ReadsEveryKindOfRecordAndTrustsNothing) {
    using config::DnsRecord;
    const struct {
        DnsRecord type;
        std::string data, text;
    } rows[] = {
        {DnsRecord::a, std::string("\x0a\x00\x00\x01", 4), "10.0.0.1"},
        {DnsRecord::aaaa, std::string(15, '\0') + '\1', "::1"},
        {DnsRecord::cname,
         std::string("\x01"
                     "a\xc0\x0c",
                     4),
         "a.x.y"},
        {DnsRecord::ns, std::string("\x02ns\x00", 4), "ns"},
        {DnsRecord::soa, std::string("\xc0\x0c", 2) + std::string(22, '\0'), "x.y"},
        {DnsRecord::mx, std::string("\x00\x0a\x01m\x00", 5), "m"},
        {DnsRecord::txt, std::string("\x02hi\x03 yo", 7), "hi yo"},
    };
    for (const auto& r : rows) {
        const std::string query = dns::query(7, "x.y", r.type);
        std::string record("\xc0\x0c\x00", 3);
        record += char(r.type);
        record += std::string("\x00\x01\x00\x00\x00\x01\x00", 7) + char(r.data.size()) + r.data;
        const std::string reply = dns_reply(query, 0, record);
        const auto answer = dns::parse(reply, "X.y", r.type);
        ASSERT_TRUE(answer);
        EXPECT_TRUE(answer->same_question);
        EXPECT_THAT(answer->records, ::testing::ElementsAre(r.text));
        for (size_t cut = 0; cut < reply.size(); ++cut)
            EXPECT_FALSE(dns::parse(reply.substr(0, cut), "x.y", r.type)) << cut;
        // Any byte may be anything.
        for (size_t at = 0; at < reply.size(); ++at)
            for (const int value : {0x00, 0x3f, 0xc0, 0xff}) {
                std::string m = reply;
                m[at] = char(value);
                dns::parse(m, "x.y", r.type);
            }
    }
    const std::string loop = std::string("\0\7\x80\0\0\1\0\0\0\0\0\0", 12) + "\xc0\x0c";
    EXPECT_FALSE(dns::parse(loop, "x", DnsRecord::a));
    EXPECT_EQ(dns::name_mistake("."), "");
    EXPECT_NE(dns::name_mistake("a..b"), "");
    EXPECT_NE(dns::name_mistake(std::string(64, 'a') + ".b"), "");
}

TEST_F(Probes, IcmpEchoes) {
    const Health h = settings(HealthType::icmp, kSoon);
    EXPECT_EQ(probe.told(h, test::loopback(0)), "success");
    EXPECT_EQ(probe.told(h, {*parse_address("::1"), 0}), "success");
}

// --- scripts

TEST_F(Probes, ScriptsDecideByTheirStatus) {
    using How = ScriptRunner::Outcome::How;
    Health plain = settings(HealthType::script), weighing = plain;
    plain.script.command = weighing.script.command = {"/bin/check", "-x"};
    weighing.script.weight_from_exit = true;
    const struct {
        const Health& settings;
        ScriptRunner::Outcome outcome;
        const char* told;
        int weight;
    } rows[] = {
        {plain, {How::exited, 0, "fine"}, "success", -1},
        {plain, {How::exited, 1, "no\nmore"}, "script: exit status 1: no", -1},
        {plain, {How::exited, 7, ""}, "script: exit status 7", -1},
        {weighing, {How::exited, 0, ""}, "success", -1},
        {weighing, {How::exited, 1, ""}, "script: exit status 1", -1},
        {weighing, {How::exited, 2, ""}, "success", 0},
        {weighing, {How::exited, 255, ""}, "success", 253},
        {plain, {How::signalled, 9, ""}, "script: ended by signal 9", -1},
        {plain, {How::timed_out, 15, ""}, "timeout: the script did not end in time", -1},
        {plain,
         {How::not_started, 0, "/bin/check cannot be run"},
         "script: /bin/check cannot be run",
         -1},
    };
    for (const auto& r : rows) {
        std::optional<Result> got;
        const Request request{std::make_shared<const Health>(r.settings), {{}, {}, {{"A", "b"}}}};
        const auto probing =
            find_checker(r.settings)->start(probe.environment, request, [&](Result x) { got = x; });
        EXPECT_TRUE(probing->keeps_time());
        EXPECT_THAT(probe.scripts.last.command, ::testing::ElementsAre("/bin/check", "-x"));
        EXPECT_EQ(probe.scripts.last.environment.at(0).second, "b");
        std::exchange(probe.scripts.waiting, nullptr)(r.outcome);
        ASSERT_TRUE(got);
        EXPECT_EQ(
            std::string(to_string(got->reason)) + (got->detail.empty() ? "" : ": " + got->detail),
            r.told);
        EXPECT_EQ(got->weight ? int(*got->weight) : -1, r.weight);
    }
    EXPECT_EQ(probe.scripts.cancelled, 0);
    find_checker(plain)->start(probe.environment, {std::make_shared<const Health>(plain), {}},
                               [](Result) {});
    EXPECT_EQ(probe.scripts.cancelled, 1);
}

// --- everything

TEST_F(Probes, GivenUpTheyLeaveNothingBehind) {
    FakeServer silent([](Connection& c) { c.stall(); });
    FakeDatagramServer deaf([](std::string_view) { return ""; });
    const auto open = [] {
        return std::distance(std::filesystem::directory_iterator("/proc/self/fd"), {});
    };
    // The server's end of a connection goes a moment after the probe's.
    const auto settles_at = [&](long count) {
        for (int n = 0; n < 200 && open() != count; ++n) ::poll(nullptr, 0, 10);
        return open();
    };
    const auto before = open();
    for (const HealthType type :
         {HealthType::tcp, HealthType::http, HealthType::https, HealthType::smtp, HealthType::dns,
          HealthType::udp, HealthType::icmp}) {
        Health h = settings(type);
        h.udp.require_reply = true;
        const bool datagram = type == HealthType::dns || type == HealthType::udp;
        const Request request{std::make_shared<const Health>(h),
                              {datagram ? deaf.at() : silent.at(), {}, {}}};
        for (int n = 0; n < 5; ++n) {
            bool told = false;
            auto given_up =
                find_checker(h)->start(probe.environment, request, [&](Result) { told = true; });
            for (int turn = 0; turn < n; ++turn) {
                probe.loop.restart();
                if (!told) probe.loop.run_one_for(milliseconds(5));
            }
            given_up.reset();
            told = false;
            probe.loop.restart();
            probe.loop.poll();
            EXPECT_FALSE(told);
        }
    }
    EXPECT_EQ(settles_at(before), before);
}

TEST(Mistakes, AreFoundBeforeAnythingIsProbed) {
    const auto mistake = [](HealthType type, auto change) {
        Health h = settings(type);
        change(h);
        return mistake_in(h);
    };
    const auto nothing = [](Health&) {};
    EXPECT_EQ(mistake(HealthType::tcp, nothing), "");
    EXPECT_EQ(mistake(HealthType::http, nothing), "");
    EXPECT_EQ(mistake(HealthType::none, nothing), "");
    EXPECT_THAT(mistake(HealthType::script, nothing), HasSubstr("script.command"));
    EXPECT_THAT(mistake(HealthType::script, [](Health& h) { h.script.command = {"check"}; }),
                HasSubstr("absolute"));
    EXPECT_THAT(mistake(HealthType::https, [](Health& h) { h.http.body_regex = "(a"; }),
                HasSubstr("missing closing parenthesis"));
    EXPECT_THAT(mistake(HealthType::http, [](Health& h) { h.http.digest = "abc"; }),
                HasSubstr("http.digest"));
    EXPECT_THAT(mistake(HealthType::http, [](Health& h) { h.http.headers = {"no colon"}; }),
                HasSubstr("Name: value"));
    EXPECT_THAT(mistake(HealthType::http, [](Health& h) { h.http.path = {"x"}; }),
                HasSubstr("must begin with /"));
    EXPECT_THAT(mistake(HealthType::http, [](Health& h) { h.http.method = "GET /"; }),
                HasSubstr("no method"));
    EXPECT_THAT(mistake(HealthType::dns, [](Health& h) { h.dns.name = "a..b"; }),
                HasSubstr("dns.name"));
    EXPECT_THAT(mistake(HealthType::udp, [](Health& h) { h.udp.payload = "hex:0"; }),
                HasSubstr("udp.payload"));
    EXPECT_THAT(mistake(HealthType::udp, [](Health& h) { h.udp.reply = "hex:zz"; }),
                HasSubstr("udp.reply"));
    EXPECT_THAT(mistake(HealthType::smtp, [](Health& h) { h.smtp.helo = "a b"; }),
                HasSubstr("one word"));
}

}  // namespace
}  // namespace torii::healthcheck
