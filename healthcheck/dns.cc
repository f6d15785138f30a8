// DNS (RFC 1035, RFC 7766): a question over UDP or TCP. A reply without error is good; where
// answers are named, one of them must be there.

#include <fmt/format.h>
#include <sys/socket.h>

#include <algorithm>

#include "healthcheck/checkers.h"
#include "healthcheck/conversation.h"
#include "healthcheck/datagram.h"
#include "healthcheck/dns_message.h"
#include "healthcheck/text.h"

namespace torii::healthcheck {

namespace asio = boost::asio;

namespace {

Result wrong(Reason reason, std::string detail) {
    Result r;
    r.reason = reason;
    r.detail = std::move(detail);
    return r;
}

/// None: not the answer to this question; the real one may still come.
std::optional<Result> judge(const config::DnsHealth& d, uint16_t id, std::string_view message) {
    const auto answer = dns::parse(message, d.name, d.record);
    if (!answer || !answer->response || answer->id != id) return std::nullopt;
    if (answer->code != 0) return wrong(Reason::bad_status, dns::code_name(answer->code));
    if (!answer->same_question) return std::nullopt;
    if (d.answer.empty()) return Result{};
    for (const std::string& record : answer->records)
        if (std::ranges::find(d.answer, record) != d.answer.end()) return Result{};
    const std::string found =
        answer->records.empty()
            ? "no such record"
            : printable(fmt::format("{}", fmt::join(answer->records, " ")), 200);
    return wrong(Reason::mismatch, fmt::format("answered {}", found));
}

uint16_t next_id() {
    static uint32_t seed = uint32_t(Clock::now().time_since_epoch().count());
    seed = seed * 1664525u + 1013904223u;
    return uint16_t(seed >> 16);
}

class DnsOverUdp : public Probe {
public:
    DnsOverUdp(Environment& e, const Request& r, Done done)
        : environment_(e),
          settings_(r.settings),
          id_(next_id()),
          socket_(e.loop),
          done_(std::move(done)) {}

    void begin(const Request& r) {
        const char* what = "";
        auto opened = open_socket(environment_, r, SOCK_DGRAM, 0, &what);
        if (!opened) return end(cannot(what, opened.error()));
        if (const int error = socket_.open(std::move(*opened), r.target.peer()))
            return end(failed(error));
        const config::DnsHealth& d = settings_->dns;
        if (const int error = socket_.send(dns::query(id_, d.name, d.record)))
            return end(failed(error));
        socket_.listen([this](int error, std::string_view message) {
            if (error != 0) return end(failed(error));
            if (auto result = judge(settings_->dns, id_, message)) return end(std::move(*result));
            foreign_ = true;
        });
    }
    Result expired() const override {
        return foreign_ ? wrong(Reason::protocol, "what came is no answer to the question")
                        : wrong(Reason::timeout, "no answer");
    }
    bool has_news() const override { return socket_.has_news(); }

private:
    void end(Result r) {
        const Done done = std::move(done_);  // which destroys this object
        done(std::move(r));
    }

    Environment& environment_;
    std::shared_ptr<const config::Health> settings_;
    const uint16_t id_;
    bool foreign_ = false;
    Datagram socket_;
    Done done_;
};

asio::awaitable<Result> over_tcp(Conversation& c) {
    const config::DnsHealth& d = c.settings().dns;
    co_await c.stream.connect(c.environment, c.request);
    c.stage = "waiting for the answer";
    const uint16_t id = next_id();
    const std::string question = dns::query(id, d.name, d.record);
    std::string framed;  // RFC 1035 4.2.2: the length goes first
    framed += char(question.size() >> 8);
    framed += char(question.size() & 0xff);
    framed += question;
    co_await c.stream.send(framed);
    const std::string length = co_await c.stream.bytes(2);
    const size_t size = size_t(uint8_t(length[0])) << 8 | uint8_t(length[1]);
    const std::string message = co_await c.stream.bytes(size);
    const auto result = judge(d, id, message);
    if (!result) throw Failure{Reason::protocol, "what came is no answer to the question"};
    co_return *result;
}

}  // namespace

std::unique_ptr<Probe> start_dns(Environment& e, const Request& r, Done done) {
    if (r.settings->dns.transport == config::DnsTransport::tcp)
        return converse(e, r, std::move(done), over_tcp);
    auto probe = std::make_unique<DnsOverUdp>(e, r, std::move(done));
    probe->begin(r);
    return probe;
}

std::string dns_mistake(const config::Health& h) {
    const std::string mistake = dns::name_mistake(h.dns.name);
    return mistake.empty() ? mistake : fmt::format("'dns.name: {}': {}", h.dns.name, mistake);
}

}  // namespace torii::healthcheck
