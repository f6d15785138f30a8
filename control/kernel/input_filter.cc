#include "control/kernel/input_filter.h"

#include <arpa/inet.h>
#include <linux/netfilter.h>
#include <linux/netfilter/nf_tables.h>
#include <linux/netfilter/nfnetlink.h>
#include <linux/netlink.h>
#include <netinet/icmp6.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>
#include <vector>

namespace torii::kernel {
namespace {

constexpr const char* kChain = "input";
constexpr int kAnswerMilliseconds = 5000;
constexpr int kBuffer = 4 << 20;
constexpr uint32_t kIpv4Destination = 16, kIpv6Destination = 24;  // offsets in their headers

using Bytes = std::vector<unsigned char>;

/// Messages of nfnetlink, one after the other.
class Batch {
public:
    Batch() { control(NFNL_MSG_BATCH_BEGIN); }
    const Bytes& end() {
        control(NFNL_MSG_BATCH_END);
        return bytes_;
    }
    size_t asked() const { return asked_; }

    template <class Fill>
    void message(uint16_t type, uint16_t flags, Fill fill) {
        ++asked_;
        const size_t at = begin(uint16_t(NFNL_SUBSYS_NFTABLES << 8 | type),
                                uint16_t(NLM_F_REQUEST | NLM_F_ACK | flags), NFPROTO_INET, 0);
        fill();
        finish(at);
    }
    void text(uint16_t attribute, const std::string& value) {
        put(attribute, value.c_str(), value.size() + 1);
    }
    void number(uint16_t attribute, uint32_t value) {
        const uint32_t raw = htonl(value);
        put(attribute, &raw, sizeof raw);
    }
    void put(uint16_t attribute, const void* data, size_t size) {
        const nlattr header{uint16_t(NLA_HDRLEN + size), attribute};
        append(&header, sizeof header);
        append(data, size);
    }
    template <class Fill>
    void nest(uint16_t attribute, Fill fill) {
        const size_t at = bytes_.size();
        const nlattr header{0, uint16_t(attribute | NLA_F_NESTED)};
        append(&header, sizeof header);
        fill();
        const auto size = uint16_t(bytes_.size() - at);
        std::memcpy(bytes_.data() + at, &size, sizeof size);
    }

private:
    void append(const void* data, size_t size) {
        const auto* from = static_cast<const unsigned char*>(data);
        bytes_.insert(bytes_.end(), from, from + size);
        bytes_.resize(NLA_ALIGN(bytes_.size()));
    }
    size_t begin(uint16_t type, uint16_t flags, uint8_t family, uint16_t resource) {
        const size_t at = bytes_.size();
        const nlmsghdr header{0, type, flags, ++sequence_, 0};
        append(&header, sizeof header);
        const nfgenmsg generic{family, NFNETLINK_V0, htons(resource)};
        append(&generic, sizeof generic);
        return at;
    }
    void finish(size_t at) {
        const auto size = uint32_t(bytes_.size() - at);
        std::memcpy(bytes_.data() + at, &size, sizeof size);
    }
    void control(uint16_t type) {
        finish(begin(type, NLM_F_REQUEST, AF_UNSPEC, NFNL_SUBSYS_NFTABLES));
    }

    Bytes bytes_;
    uint32_t sequence_ = 0;
    size_t asked_ = 0;
};

// --- expressions of a rule, in register 1 ------------------------------------------------------

template <class Fill>
void expression(Batch& b, const char* name, Fill fill) {
    b.nest(NFTA_LIST_ELEM, [&] {
        b.text(NFTA_EXPR_NAME, name);
        b.nest(NFTA_EXPR_DATA, fill);
    });
}

void compare(Batch& b, uint32_t how, const void* data, size_t size) {
    expression(b, "cmp", [&] {
        b.number(NFTA_CMP_SREG, NFT_REG_1);
        b.number(NFTA_CMP_OP, how);
        b.nest(NFTA_CMP_DATA, [&] { b.put(NFTA_DATA_VALUE, data, size); });
    });
}

void meta_is(Batch& b, uint32_t key, uint8_t value) {
    expression(b, "meta", [&] {
        b.number(NFTA_META_DREG, NFT_REG_1);
        b.number(NFTA_META_KEY, key);
    });
    compare(b, NFT_CMP_EQ, &value, sizeof value);
}

void load(Batch& b, uint32_t base, uint32_t offset, uint32_t size) {
    expression(b, "payload", [&] {
        b.number(NFTA_PAYLOAD_DREG, NFT_REG_1);
        b.number(NFTA_PAYLOAD_BASE, base);
        b.number(NFTA_PAYLOAD_OFFSET, offset);
        b.number(NFTA_PAYLOAD_LEN, size);
    });
}

void verdict(Batch& b, uint32_t code) {
    expression(b, "immediate", [&] {
        b.number(NFTA_IMMEDIATE_DREG, NFT_REG_VERDICT);
        b.nest(NFTA_IMMEDIATE_DATA,
               [&] { b.nest(NFTA_DATA_VERDICT, [&] { b.number(NFTA_VERDICT_CODE, code); }); });
    });
}

// --- rules --------------------------------------------------------------------------------------

template <class Fill>
void rule(Batch& b, const std::string& table, Fill fill) {
    b.message(NFT_MSG_NEWRULE, NLM_F_CREATE | NLM_F_APPEND, [&] {
        b.text(NFTA_RULE_TABLE, table);
        b.text(NFTA_RULE_CHAIN, kChain);
        b.nest(NFTA_RULE_EXPRESSIONS, fill);
    });
}

/// Solicitations and advertisements of neighbours.
void pass_discovery(Batch& b, const std::string& table) {
    rule(b, table, [&] {
        meta_is(b, NFT_META_NFPROTO, NFPROTO_IPV6);
        meta_is(b, NFT_META_L4PROTO, IPPROTO_ICMPV6);
        load(b, NFT_PAYLOAD_TRANSPORT_HEADER, 0, 1);
        constexpr uint8_t kFirst = ND_NEIGHBOR_SOLICIT, kLast = ND_NEIGHBOR_ADVERT;
        compare(b, NFT_CMP_GTE, &kFirst, 1);
        compare(b, NFT_CMP_LTE, &kLast, 1);
        verdict(b, NF_ACCEPT);
    });
}

void drop(Batch& b, const std::string& table, const Address& a) {
    rule(b, table, [&] {
        const bool v4 = a.is_v4();
        const size_t size = v4 ? 4 : 16;
        meta_is(b, NFT_META_NFPROTO, v4 ? NFPROTO_IPV4 : NFPROTO_IPV6);
        load(b, NFT_PAYLOAD_NETWORK_HEADER, v4 ? kIpv4Destination : kIpv6Destination,
             uint32_t(size));
        compare(b, NFT_CMP_EQ, a.bytes.data() + 16 - size, size);
        verdict(b, NF_DROP);
    });
}

/// Whether it was there or not, it is not any more.
void forget(Batch& b, const std::string& table) {
    for (const uint16_t type : {NFT_MSG_NEWTABLE, NFT_MSG_DELTABLE})
        b.message(type, type == NFT_MSG_NEWTABLE ? NLM_F_CREATE : 0,
                  [&] { b.text(NFTA_TABLE_NAME, table); });
}

void make(Batch& b, const std::string& table) {
    b.message(NFT_MSG_NEWTABLE, NLM_F_CREATE, [&] { b.text(NFTA_TABLE_NAME, table); });
    b.message(NFT_MSG_NEWCHAIN, NLM_F_CREATE, [&] {
        b.text(NFTA_CHAIN_TABLE, table);
        b.text(NFTA_CHAIN_NAME, kChain);
        b.nest(NFTA_CHAIN_HOOK, [&] {
            b.number(NFTA_HOOK_HOOKNUM, NF_INET_LOCAL_IN);
            b.number(NFTA_HOOK_PRIORITY, 0);
        });
        b.number(NFTA_CHAIN_POLICY, NF_ACCEPT);
        b.text(NFTA_CHAIN_TYPE, "filter");
    });
}

/// How many messages were answered, and the first error among the answers.
struct Answers {
    size_t count = 0;
    int error = 0;
    void take(const unsigned char* data, size_t size) {
        nlmsghdr header;
        while (size >= sizeof header) {
            std::memcpy(&header, data, sizeof header);
            if (header.nlmsg_len < sizeof header || header.nlmsg_len > size) return;
            int code = 0;
            if (header.nlmsg_type == NLMSG_ERROR &&
                header.nlmsg_len >= sizeof header + sizeof code) {
                std::memcpy(&code, data + sizeof header, sizeof code);
                ++count;
                if (error == 0) error = -code;
            }
            const size_t step = std::min<size_t>(NLMSG_ALIGN(header.nlmsg_len), size);
            data += step;
            size -= step;
        }
    }
};

}  // namespace

Result<std::unique_ptr<InputFilter>> InputFilter::open() {
    const int fd = ::socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC | SOCK_NONBLOCK, NETLINK_NETFILTER);
    if (fd < 0) return fail_errno("cannot reach nftables", errno);
    for (const int option : {SO_SNDBUFFORCE, SO_RCVBUFFORCE})
        ::setsockopt(fd, SOL_SOCKET, option, &kBuffer, sizeof kBuffer);
    const int on = 1;  // answers without the messages they are about
    ::setsockopt(fd, SOL_NETLINK, NETLINK_CAP_ACK, &on, sizeof on);
    return std::unique_ptr<InputFilter>(new InputFilter(fd));
}

InputFilter::~InputFilter() { ::close(fd_); }

Result<> InputFilter::refuse(const std::string& table, std::span<const Address> addresses) {
    Batch b;
    forget(b, table);
    make(b, table);
    pass_discovery(b, table);
    for (const Address& a : addresses) drop(b, table, a);
    return commit(b.end(), b.asked());
}

Result<> InputFilter::remove(const std::string& table) {
    Batch b;
    forget(b, table);
    return commit(b.end(), b.asked());
}

Result<> InputFilter::commit(std::span<const unsigned char> messages, size_t asked) {
    if (::send(fd_, messages.data(), messages.size(), 0) != ssize_t(messages.size()))
        return fail_errno("cannot change nftables", errno);
    Answers answers;
    std::array<unsigned char, 16384> room;
    while (answers.count < asked && answers.error == 0) {
        pollfd waiting{fd_, POLLIN, 0};
        if (::poll(&waiting, 1, kAnswerMilliseconds) <= 0)
            return fail(Errc::busy, "nftables does not answer");
        const ssize_t n = ::recv(fd_, room.data(), room.size(), MSG_DONTWAIT);
        if (n < 0 && errno != EAGAIN) return fail_errno("cannot hear from nftables", errno);
        if (n > 0) answers.take(room.data(), size_t(n));
    }
    // What was refused once is refused as a whole; the rest of the answers says no more.
    while (::recv(fd_, room.data(), room.size(), MSG_DONTWAIT) > 0) {
    }
    if (answers.error != 0) return fail_errno("cannot change nftables", answers.error);
    return {};
}

}  // namespace torii::kernel
