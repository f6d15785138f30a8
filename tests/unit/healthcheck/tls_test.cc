// TLS and STARTTLS: servers whose certificates are good, wrong, late or somebody else's, and those
// that speak something else, nothing, or a byte now and then.

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <csignal>

#include "tests/support/temporary_directory.h"
#include "tests/unit/healthcheck/fake_tls.h"
#include "tests/unit/healthcheck/prober.h"

namespace torii::healthcheck {
namespace {

using config::Health;
using config::HealthType;
using std::chrono::milliseconds;
using test::Certificate;
using test::Connection;
using test::FakeServer;
using test::TlsConnection;
using ::testing::HasSubstr;
using ::testing::StartsWith;

constexpr long kDay = 86400;

class Tls : public ::testing::Test {
protected:
    Tls() {
        std::signal(SIGPIPE, SIG_IGN);
        good.store(ca);
    }
    Health settings(HealthType type, bool verify, milliseconds timeout = milliseconds(5000)) {
        Health h;
        h.type = type;
        h.timeout = timeout;
        h.tls.server_name = "good.example";
        h.tls.verify = verify;
        if (verify) h.tls.ca = ca;
        return h;
    }
    /// An HTTPS server that answers 200 and notes what name was asked for.
    FakeServer::Behaviour web(const Certificate& c) {
        return [this, context = c.context()](Connection& plain) {
            TlsConnection tls(plain, context.get());
            {
                const std::lock_guard lock(mutex);
                name = tls.asked_for();
            }
            if (tls.receive_until("\r\n\r\n"))
                tls.send("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok");
        };
    }
    FakeServer::Behaviour mail(const Certificate& c, std::string reply = "220 go ahead\r\n") {
        return [context = c.context(), reply](Connection& plain) {
            if (!plain.send("220 mail\r\n") || !plain.receive_until("\r\n")) return;
            plain.forget();
            if (!plain.send("250-mail\r\n250 STARTTLS\r\n") || !plain.receive_until("\r\n")) return;
            if (!plain.send(reply)) return;
            TlsConnection tls(plain, context.get());
            if (tls.receive_until("\r\n") && tls.send("250 again\r\n") && tls.receive_until("QUIT"))
                tls.send("221 bye\r\n");
        };
    }
    std::string asked_for() {
        const std::lock_guard lock(mutex);
        return name;
    }

    torii::test::TemporaryDirectory directory;
    const std::string ca = directory.path() + "/ca.pem";
    const Certificate good{"good.example", 40 * kDay}, other{"other.example", 40 * kDay},
        late{"good.example", -10}, soon{"good.example", 5 * kDay + 1000};
    std::mutex mutex;
    std::string name;
    test::OneProbe probe;
};

TEST_F(Tls, CertificatesAreJudgedWhereThatIsWanted) {
    const Health lax = settings(HealthType::https, false);
    const Health strict = settings(HealthType::https, true);
    Health any_name = strict;
    any_name.tls.server_name = "";
    const struct {
        const Health& settings;
        const Certificate& certificate;
        std::string told;
    } rows[] = {
        {lax, good, "success"},
        {lax, other, "success"},
        {lax, late, "success"},
        {strict, good, "success"},
        {strict, other, "tls: self-signed certificate"},
        {any_name, good, "tls: IP address mismatch"},
    };
    for (const auto& r : rows) {
        FakeServer server(web(r.certificate));
        EXPECT_THAT(probe.told(r.settings, server.at()), StartsWith(r.told));
    }
    FakeServer server(web(good));
    probe(lax, server.at());
    EXPECT_EQ(asked_for(), "good.example");
    Health no_name = lax;
    no_name.tls.server_name = "";
    EXPECT_TRUE(probe(no_name, server.at()).good());
    EXPECT_EQ(asked_for(), "");
    Health wrong_name = strict;
    wrong_name.tls.server_name = "third.example";
    EXPECT_EQ(probe.told(wrong_name, server.at()), "tls: hostname mismatch");
    Health of_late = strict;
    of_late.tls.ca = directory.path() + "/late.pem";
    late.store(of_late.tls.ca);
    FakeServer past(web(late));
    EXPECT_EQ(probe.told(of_late, past.at()), "tls: certificate has expired");
    Health no_file = strict;
    no_file.tls.ca = "/nonexistent";
    EXPECT_THAT(probe.told(no_file, server.at()), StartsWith("local: tls.ca /nonexistent: "));
}

TEST_F(Tls, ACertificateThatEndsSoonIsAWarning) {
    Health h = settings(HealthType::https, false);
    FakeServer server(web(soon));
    EXPECT_THAT(probe(h, server.at()).warning, HasSubstr("the certificate ends in 5 days"));
    h.tls.expiry_warning = Duration(0);
    EXPECT_EQ(probe(h, server.at()).warning, "");
    FakeServer fresh(web(good));
    EXPECT_EQ(probe(settings(HealthType::https, false), fresh.at()).warning, "");
}

TEST_F(Tls, WhateverIsNoTlsEndsInTime) {
    const Health h = settings(HealthType::https, false, milliseconds(300));
    const struct {
        FakeServer::Behaviour behaviour;
        std::string told;
    } rows[] = {
        {[](Connection& c) { c.send("HTTP/1.1 400 Bad Request\r\n\r\n"), c.stall(); }, "tls: "},
        {[](Connection& c) { c.send(std::string(100000, '\xff')), c.stall(); }, "tls: "},
        {[](Connection& c) { c.send(std::string("\x16\x03\x03\xff\xff", 5)), c.stall(); }, "tls: "},
        {[](Connection& c) { c.send(std::string("\x15\x03\x03\x00\x02\x02\x28", 7)); }, "tls: "},
        {[](Connection& c) { c.stall(); }, "timeout: TLS handshake"},
        {[](Connection& c) {
             c.pause(20);  // the greeting is on its way
         },
         ""},  // closed or reset, as the kernel sees it
        {[](Connection& c) {
             const std::string record("\x16\x03\x03\x40\x00\x02", 6);
             for (const char byte : record + std::string(1000, 'x'))
                 if (!c.send({&byte, 1}) || ::poll(nullptr, 0, 60) != 0) return;
         },
         "timeout: TLS handshake"},
        {[](Connection& c) {
             // Handshake records without end, each a request to begin anew.
             const std::string record = std::string("\x16\x03\x03\x00\x04\x00\x00\x00\x00", 9);
             while (c.send(record)) {
             }
         },
         "timeout: TLS handshake"},
    };
    for (const auto& r : rows) {
        FakeServer server(r.behaviour);
        const Result found = probe(h, server.at());
        EXPECT_FALSE(found.good());
        const std::string told = std::string(to_string(found.reason)) + ": " + found.detail;
        EXPECT_THAT(told, StartsWith(r.told));
    }
}

TEST_F(Tls, AnAnswerWithoutEndIsCutOff) {
    Health h = settings(HealthType::https, false, milliseconds(20000));
    h.http.body_regex = "never";
    h.http.max_body = 100000;
    FakeServer server([context = good.context()](Connection& plain) {
        TlsConnection tls(plain, context.get());
        if (!tls.receive_until("\r\n\r\n")) return;
        tls.send("HTTP/1.1 200 OK\r\n\r\n");
        while (tls.send(std::string(10000, 'x'))) {
        }
    });
    EXPECT_EQ(probe.told(h, server.at()), "too_large: a body of more than max_body bytes");
}

TEST_F(Tls, StarttlsIsTalkedThroughToTheEnd) {
    Health lax = settings(HealthType::smtp, false), strict = settings(HealthType::smtp, true);
    lax.smtp.starttls = strict.smtp.starttls = true;
    Health short_of_time = lax;
    short_of_time.timeout = milliseconds(300);
    const struct {
        const Health& settings;
        FakeServer::Behaviour behaviour;
        std::string told;
    } rows[] = {
        {lax, mail(good), "success"},
        {strict, mail(good), "success"},
        {lax, mail(other), "success"},
        {strict, mail(other), "tls: self-signed certificate"},
        {lax, mail(good, "454 not now\r\n"), "bad_status: STARTTLS: 454 not now"},
        {lax, mail(good, "what?\r\n"), "protocol: not an SMTP reply: 'what?'"},
        // What comes in the clear behind the 220 is not believed to come from within TLS.
        {lax, mail(good, "220 ok\r\n250 injected\r\n"), "tls: "},
        {lax, mail(good, "220 ok\r\n" + std::string(500, 'x')), "tls: "},
        {short_of_time,
         [](Connection& c) {
             if (c.send("220 mail\r\n") && c.receive_until("\r\n") &&
                 c.send("250-mail\r\n250 STARTTLS\r\n") && c.receive_until("STARTTLS\r\n") &&
                 c.send("220 ok\r\n"))
                 c.stall();
         },
         "timeout: TLS handshake"},
    };
    for (const auto& r : rows) {
        FakeServer server(r.behaviour);
        EXPECT_THAT(probe.told(r.settings, server.at()), StartsWith(r.told));
    }
}

}  // namespace
}  // namespace torii::healthcheck
