#include "control/kernel/socket.h"

#include <netlink/attr.h>
#include <netlink/netlink.h>
#include <netlink/socket.h>
#include <poll.h>
#include <sys/socket.h>

#include <cerrno>
#include <cstring>
#include <string>

namespace torii::kernel {
namespace {

// The kernel fills dump messages of up to 32 KiB once it has seen a buffer that takes them.
constexpr size_t kDatagram = 64 << 10;

}  // namespace

void put_address(nl_msg* message, int attribute, const Address& address) {
    if (address.is_v4())
        nla_put(message, attribute, 4, address.bytes.data() + 12);
    else
        nla_put(message, attribute, 16, address.bytes.data());
}

void Socket::Close::operator()(nl_sock* socket) const { nl_socket_free(socket); }

Result<Socket> Socket::open(std::span<const unsigned> groups, size_t receive_buffer) {
    Socket self;
    self.socket_.reset(nl_socket_alloc());
    if (!self.socket_) return fail(Errc::io, "cannot allocate a netlink socket");
    if (int rc = nl_connect(self.socket_.get(), NETLINK_ROUTE); rc < 0)
        return fail(Errc::io, std::string("cannot open a netlink socket: ") + nl_geterror(rc));
    const int fd = self.fd();
    const int bytes = int(receive_buffer);
    if (setsockopt(fd, SOL_SOCKET, SO_RCVBUFFORCE, &bytes, sizeof bytes) != 0 &&
        setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &bytes, sizeof bytes) != 0)
        return fail_errno("cannot set the netlink receive buffer", errno);
    // Lets the kernel filter dumps (by table, by family). Kernels without it (before 4.20) send
    // more, which we skip.
    const int on = 1;
    setsockopt(fd, SOL_NETLINK, NETLINK_GET_STRICT_CHK, &on, sizeof on);
    for (unsigned group : groups)
        if (int rc = nl_socket_add_membership(self.socket_.get(), int(group)); rc < 0)
            return fail(Errc::io, "cannot join netlink group " + std::to_string(group) + ": " +
                                      nl_geterror(rc));
    if (int rc = nl_socket_set_nonblocking(self.socket_.get()); rc < 0)
        return fail(Errc::io, std::string("cannot make netlink non-blocking: ") + nl_geterror(rc));
    self.buffer_.resize(kDatagram);
    return self;
}

int Socket::fd() const { return nl_socket_get_fd(socket_.get()); }

Result<> Socket::send(std::span<const uint8_t> messages) {
    sockaddr_nl kernel{};
    kernel.nl_family = AF_NETLINK;
    while (sendto(fd(), messages.data(), messages.size(), 0,
                  reinterpret_cast<const sockaddr*>(&kernel), sizeof kernel) < 0)
        if (errno != EINTR) return fail_errno("cannot send to the kernel by netlink", errno);
    return {};
}

Result<uint32_t> Socket::send(nl_msg* message) {
    if (!message) return fail(Errc::io, "no memory for a netlink message");
    nlmsghdr* header = nlmsg_hdr(message);
    header->nlmsg_seq = next_sequence();
    const auto* bytes = reinterpret_cast<const uint8_t*>(header);
    return send(std::span(bytes, header->nlmsg_len)).map([&] { return header->nlmsg_seq; });
}

Result<Socket::Status> Socket::receive() {
    for (;;) {
        received_ = 0;
        sockaddr_nl sender{};
        iovec part{buffer_.data(), buffer_.size()};
        msghdr message{};
        message.msg_name = &sender;
        message.msg_namelen = sizeof sender;
        message.msg_iov = &part;
        message.msg_iovlen = 1;
        const ssize_t bytes = recvmsg(fd(), &message, 0);
        if (bytes < 0) {
            if (errno == EINTR) continue;
            if (errno == EAGAIN || errno == EWOULDBLOCK) return Status::empty;
            if (errno == ENOBUFS) return Status::overrun;
            return fail_errno("cannot receive from the kernel by netlink", errno);
        }
        if (sender.nl_pid != 0) continue;  // another process; only the kernel is believed
        if (message.msg_flags & MSG_TRUNC) return Status::overrun;
        received_ = size_t(bytes);
        return Status::data;
    }
}

Result<> Socket::wait(int milliseconds) const {
    pollfd waiting{fd(), POLLIN, 0};
    for (;;) {
        const int ready = poll(&waiting, 1, milliseconds);
        if (ready > 0) return {};
        if (ready == 0) return fail(Errc::busy, "the kernel did not answer by netlink in time");
        if (errno != EINTR) return fail_errno("cannot wait for netlink", errno);
    }
}

int error_of(const nlmsghdr& header) {
    int32_t error = 0;
    if (header.nlmsg_len >= NLMSG_LENGTH(sizeof error))
        std::memcpy(&error, reinterpret_cast<const uint8_t*>(&header) + NLMSG_HDRLEN, sizeof error);
    return error < 0 ? -error : 0;
}

}  // namespace torii::kernel
