// UDP: a datagram is sent. ICMP unreachable is a failure; silence is one only where a reply is
// required (as keepalived's UDP_CHECK).

#include <fmt/format.h>
#include <sys/socket.h>

#include "healthcheck/checkers.h"
#include "healthcheck/datagram.h"
#include "healthcheck/text.h"

namespace torii::healthcheck {
namespace {

bool reply_required(const config::UdpHealth& u) { return u.require_reply || !u.reply.empty(); }

std::string payload_of(const config::UdpHealth& u) {
    std::string bytes;
    for (const MaskedByte& b : parse_pattern(u.payload).value_or(std::vector<MaskedByte>{}))
        bytes += char(b.value);
    return bytes;
}

class Udp : public Probe {
public:
    Udp(Environment& e, const Request& r, Done done)
        : environment_(e), settings_(r.settings), socket_(e.loop), done_(std::move(done)) {}

    void begin(const Request& r) {
        const char* what = "";
        auto opened = open_socket(environment_, r, SOCK_DGRAM, 0, &what);
        if (!opened) return end(cannot(what, opened.error()));
        if (const int error = socket_.open(std::move(*opened), r.target.peer()))
            return end(failed(error));
        if (const int error = socket_.send(payload_of(settings_->udp))) return end(failed(error));
        socket_.listen([this](int error, std::string_view reply) {
            end(error != 0 ? failed(error) : judge(reply));
        });
    }
    Result expired() const override {
        if (!reply_required(settings_->udp)) return {};
        Result r;
        r.reason = Reason::timeout;
        r.detail = "no reply";
        return r;
    }
    bool has_news() const override { return socket_.has_news(); }

private:
    Result judge(std::string_view reply) const {
        const auto pattern = parse_pattern(settings_->udp.reply);
        if (!pattern || begins_with(reply, *pattern)) return {};
        Result r;
        r.reason = Reason::mismatch;
        r.detail = fmt::format("the reply begins with '{}'", printable(reply, 32));
        return r;
    }
    void end(Result r) {
        const Done done = std::move(done_);  // which destroys this object
        done(std::move(r));
    }

    Environment& environment_;
    std::shared_ptr<const config::Health> settings_;
    Datagram socket_;
    Done done_;
};

}  // namespace

std::unique_ptr<Probe> start_udp(Environment& e, const Request& r, Done done) {
    auto probe = std::make_unique<Udp>(e, r, std::move(done));
    probe->begin(r);
    return probe;
}

std::string udp_mistake(const config::Health& h) {
    const auto payload = parse_pattern(h.udp.payload);
    if (!payload) return "'udp.payload': hex: is followed by pairs of hexadecimal digits";
    for (const MaskedByte& b : *payload)
        if (b.mask != 0xff) return "'udp.payload' cannot have X";
    if (!parse_pattern(h.udp.reply))
        return "'udp.reply': hex: is followed by pairs of hexadecimal digits or X";
    return {};
}

}  // namespace torii::healthcheck
