#pragma once
// A non-blocking rtnetlink socket and the few words a request is made of. Thread-safety: one
// thread.

#include <linux/netlink.h>
#include <netlink/msg.h>

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <vector>

#include "config/base/address.h"
#include "config/base/error.h"

struct nl_sock;

namespace torii::kernel {

struct FreeMessage {
    void operator()(nl_msg* m) const { nlmsg_free(m); }
};
using Message = std::unique_ptr<nl_msg, FreeMessage>;

/// A request of this type whose family header is `header`; room for one page of attributes.
template <class Header>
Message make_request(uint16_t type, uint16_t flags, const Header& header) {
    Message message(nlmsg_alloc_simple(type, NLM_F_REQUEST | flags));
    if (message) {
        Header copy = header;
        nlmsg_append(message.get(), &copy, sizeof copy, NLMSG_ALIGNTO);
    }
    return message;
}

/// Appends the address, in the size of its family, as an attribute.
void put_address(nl_msg*, int attribute, const Address&);

class Socket {
public:
    enum class Status : uint8_t { data, empty, overrun };

    /// Joins the multicast groups (RTNLGRP_*) before it returns.
    static Result<Socket> open(std::span<const unsigned> groups, size_t receive_buffer);

    int fd() const;
    /// Sends bytes that hold one or more complete messages.
    Result<> send(std::span<const uint8_t> messages);
    /// Numbers the message, sends it, and returns its sequence number.
    Result<uint32_t> send(nl_msg*);
    uint32_t next_sequence() { return ++sequence_; }

    /// Takes one datagram in. After `data`, each message of it is visited by each().
    Result<Status> receive();
    /// Waits until there is something to receive: Errc::busy after `milliseconds`.
    Result<> wait(int milliseconds) const;

    template <class F>
    void each(F visit) const {
        int left = int(received_);
        const auto* header = reinterpret_cast<const nlmsghdr*>(buffer_.data());
        while (nlmsg_ok(header, left)) {
            visit(*header);
            // libnl takes the header as mutable but only reads it.
            header = nlmsg_next(const_cast<nlmsghdr*>(header), &left);
        }
    }

private:
    struct Close {
        void operator()(nl_sock*) const;
    };
    std::unique_ptr<nl_sock, Close> socket_;
    uint32_t sequence_ = 0;
    std::vector<uint8_t> buffer_;
    size_t received_ = 0;
};

/// The error of an NLMSG_ERROR or NLMSG_DONE message as a positive errno; 0 for success.
int error_of(const nlmsghdr&);

}  // namespace torii::kernel
