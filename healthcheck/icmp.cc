// ICMP echo (RFC 792, RFC 4443). An unprivileged ping socket where the kernel allows it
// (net.ipv4.ping_group_range), else a raw one that takes in echo replies only.

#include <linux/icmp.h>
#include <netinet/icmp6.h>
#include <netinet/in.h>
#include <sys/socket.h>

#include <array>
#include <cerrno>
#include <cstring>

#include "healthcheck/checkers.h"
#include "healthcheck/datagram.h"

namespace torii::healthcheck {
namespace {

constexpr uint8_t kEcho4 = 8, kReply4 = 0, kEcho6 = 128, kReply6 = 129;
constexpr size_t kHeader = 8, kSize = kHeader + 16;

/// RFC 1071, over an even number of bytes.
uint16_t checksum(const std::array<uint8_t, kSize>& bytes) {
    uint32_t sum = 0;
    for (size_t i = 0; i < bytes.size(); i += 2) sum += uint32_t(bytes[i] << 8 | bytes[i + 1]);
    while (sum >> 16) sum = (sum & 0xffff) + (sum >> 16);
    return uint16_t(~sum);
}

class Icmp : public Probe {
public:
    Icmp(Environment& e, const Request& r, Done done)
        : environment_(e),
          v4_(r.target.to.address.is_v4()),
          number_(next_number()),
          socket_(e.loop),
          done_(std::move(done)) {}

    void begin(const Request& r) {
        const char* what = "";
        auto opened = open(r, what);
        if (!opened) return end(cannot(what, opened.error()));
        // An echo has no port.
        if (const int error = socket_.open(std::move(*opened), {r.target.to.address, 0}))
            return end(failed(error));
        const auto echo = request();
        if (const int error =
                socket_.send({reinterpret_cast<const char*>(echo.data()), echo.size()}))
            return end(failed(error));
        socket_.listen([this](int error, std::string_view packet) {
            if (error != 0)
                end(failed(error));
            else if (is_ours(packet))
                end({});
        });
    }
    Result expired() const override {
        Result r;
        r.reason = Reason::timeout;
        r.detail = "no echo";
        return r;
    }
    bool has_news() const override { return socket_.has_news(); }

private:
    static uint32_t next_number() {
        static uint32_t number = uint32_t(Clock::now().time_since_epoch().count());
        return ++number;
    }
    tl::expected<Descriptor, int> open(const Request& r, const char*& what) {
        const int protocol = v4_ ? int(IPPROTO_ICMP) : int(IPPROTO_ICMPV6);
        auto s = open_socket(environment_, r, SOCK_DGRAM, protocol, &what);
        if (s || (s.error() != EACCES && s.error() != EPERM && s.error() != EPROTONOSUPPORT))
            return s;
        raw_ = true;
        s = open_socket(environment_, r, SOCK_RAW, protocol, &what);
        if (s) only_replies(s->get());
        return s;
    }
    void only_replies(int fd) const {
        if (v4_) {
            const icmp_filter pass{~(1u << kReply4)};
            ::setsockopt(fd, SOL_RAW, ICMP_FILTER, &pass, sizeof pass);
            return;
        }
        struct icmp6_filter pass {};
        ICMP6_FILTER_SETBLOCKALL(&pass);
        ICMP6_FILTER_SETPASS(kReply6, &pass);
        ::setsockopt(fd, IPPROTO_ICMPV6, ICMP6_FILTER, &pass, sizeof pass);
    }
    /// Type, code, checksum, identifier, sequence, then the number that makes it ours. The kernel
    /// replaces the identifier on a ping socket, and makes the checksum for IPv6.
    std::array<uint8_t, kSize> request() const {
        std::array<uint8_t, kSize> bytes{};
        bytes[0] = v4_ ? kEcho4 : kEcho6;
        std::memcpy(&bytes[4], &number_, 4);
        std::memcpy(&bytes[kHeader], &number_, 4);
        std::memcpy(&bytes[kHeader + 4], "torii", 5);
        if (v4_) {
            const uint16_t sum = checksum(bytes);
            bytes[2] = uint8_t(sum >> 8);
            bytes[3] = uint8_t(sum);
        }
        return bytes;
    }
    bool is_ours(std::string_view packet) const {
        // A raw IPv4 socket shows the IP header as well.
        if (raw_ && v4_) {
            if (packet.empty()) return false;
            const size_t header = size_t(uint8_t(packet[0]) & 0x0f) * 4;
            if (packet.size() < header) return false;
            packet.remove_prefix(header);
        }
        return packet.size() >= kHeader + 4 && uint8_t(packet[0]) == (v4_ ? kReply4 : kReply6) &&
               std::memcmp(packet.data() + kHeader, &number_, 4) == 0;
    }
    void end(Result r) {
        const Done done = std::move(done_);  // which destroys this object
        done(std::move(r));
    }

    Environment& environment_;
    const bool v4_;
    bool raw_ = false;
    const uint32_t number_;
    Datagram socket_;
    Done done_;
};

}  // namespace

std::unique_ptr<Probe> start_icmp(Environment& e, const Request& r, Done done) {
    auto probe = std::make_unique<Icmp>(e, r, std::move(done));
    probe->begin(r);
    return probe;
}

}  // namespace torii::healthcheck
