#include "healthcheck/datagram.h"

#include <netinet/in.h>
#include <poll.h>
#include <sys/socket.h>

#include <array>
#include <boost/asio/io_context.hpp>
#include <boost/asio/posix/stream_descriptor.hpp>
#include <cerrno>

namespace torii::healthcheck {

namespace asio = boost::asio;

struct Datagram::State : std::enable_shared_from_this<State> {
    explicit State(asio::io_context& loop) : socket(loop) {}
    void watch() {
        socket.async_wait(asio::posix::stream_descriptor::wait_read,
                          [self = shared_from_this()](boost::system::error_code error) {
                              if (!error && self->take) self->receive();
                          });
    }
    void receive() {
        std::array<char, 4096> buffer;
        const ssize_t got = ::recv(socket.native_handle(), buffer.data(), buffer.size(), 0);
        if (got < 0 && (errno == EAGAIN || errno == EINTR)) return watch();
        const Take call = take;  // which may destroy the Datagram
        if (got < 0) return call(errno, {});
        call(0, {buffer.data(), size_t(got)});
        if (take) watch();
    }

    asio::posix::stream_descriptor socket;
    Take take;
};

Datagram::Datagram(asio::io_context& loop) : state_(std::make_shared<State>(loop)) {}

Datagram::~Datagram() {
    state_->take = nullptr;
    boost::system::error_code ignored;
    state_->socket.close(ignored);
}

int Datagram::open(Descriptor socket, const Endpoint& to) {
    sockaddr_storage address;
    const socklen_t size = to_sockaddr(to, address);
    const int on = 1;
    if (to.address.is_v4())
        ::setsockopt(socket.get(), IPPROTO_IP, IP_RECVERR, &on, sizeof on);
    else
        ::setsockopt(socket.get(), IPPROTO_IPV6, IPV6_RECVERR, &on, sizeof on);
    if (::connect(socket.get(), reinterpret_cast<sockaddr*>(&address), size) != 0) return errno;
    boost::system::error_code error;
    state_->socket.assign(socket.get(), error);
    if (error) return error.value();
    socket.release();
    return 0;
}

int Datagram::send(std::string_view bytes) {
    return ::send(fd(), bytes.data(), bytes.size(), MSG_NOSIGNAL) < 0 ? errno : 0;
}

void Datagram::listen(Take take) {
    state_->take = std::move(take);
    state_->watch();
}

bool Datagram::has_news() const {
    pollfd wanted{fd(), POLLIN, 0};
    return ::poll(&wanted, 1, 0) > 0;
}

int Datagram::fd() const { return state_->socket.native_handle(); }

}  // namespace torii::healthcheck
