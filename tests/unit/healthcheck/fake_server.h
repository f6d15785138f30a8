#pragma once
// Servers on loopback that behave as a test wants: each connection is given to a function in a
// thread of its own. Everything ends with the object.

#include <arpa/inet.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <functional>
#include <list>
#include <mutex>
#include <string>
#include <string_view>
#include <thread>

#include "config/base/address.h"

namespace torii::healthcheck::test {

inline Endpoint loopback(uint16_t port) { return {Address::v4(be32::from_host(0x7f000001)), port}; }

inline uint16_t port_of(int fd) {
    sockaddr_in a{};
    socklen_t size = sizeof a;
    ::getsockname(fd, reinterpret_cast<sockaddr*>(&a), &size);
    return ntohs(a.sin_port);
}

inline int bound(int type) {
    const int fd = ::socket(AF_INET, type, 0);
    sockaddr_in a{};
    a.sin_family = AF_INET;
    a.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    ::bind(fd, reinterpret_cast<sockaddr*>(&a), sizeof a);
    return fd;
}

/// One connection, as a server sees it. Every call returns false once the peer or the test is gone.
class Connection {
public:
    Connection(int fd, int end) : fd_(fd), end_(end) {}
    bool send(std::string_view text) {
        return ::send(fd_, text.data(), text.size(), MSG_NOSIGNAL) == ssize_t(text.size());
    }
    /// Waits until the peer has sent `text`, or so many bytes.
    bool receive_until(std::string_view text) {
        while (received_.find(text) == received_.npos) {
            char buffer[4096];
            if (!wait(-1)) return false;
            const ssize_t n = ::recv(fd_, buffer, sizeof buffer, 0);
            if (n <= 0) return false;
            received_.append(buffer, size_t(n));
        }
        return true;
    }
    const std::string& received() const { return received_; }
    void forget() { received_.clear(); }
    /// Until the peer has closed the connection.
    void stall() {
        char c;
        while (wait(-1) && ::recv(fd_, &c, 1, 0) > 0) {
        }
    }
    /// Nothing for so long; false when the peer sent or closed.
    bool pause(int milliseconds) {
        pollfd fds[] = {{fd_, POLLIN, 0}, {end_, POLLIN, 0}};
        return ::poll(fds, 2, milliseconds) == 0;
    }
    void reset() {
        const linger now{1, 0};
        ::setsockopt(fd_, SOL_SOCKET, SO_LINGER, &now, sizeof now);
    }
    int fd() const { return fd_; }

private:
    bool wait(int milliseconds) {
        pollfd fds[] = {{fd_, POLLIN, 0}, {end_, POLLIN, 0}};
        return ::poll(fds, 2, milliseconds) > 0 && fds[1].revents == 0;
    }
    int fd_, end_;
    std::string received_;
};

class FakeServer {
public:
    using Behaviour = std::function<void(Connection&)>;
    explicit FakeServer(Behaviour b) : behaviour_(std::move(b)), listener_(bound(SOCK_STREAM)) {
        ::listen(listener_, 64);
        ::pipe(end_);
        accepting_ = std::thread([this] { accept_all(); });
    }
    ~FakeServer() {
        ::close(end_[1]);  // readable at the other end: everybody goes home
        accepting_.join();
        for (std::thread& t : talking_) t.join();
        ::close(listener_);
        ::close(end_[0]);
    }
    Endpoint at() const { return loopback(port_of(listener_)); }

private:
    void accept_all() {
        for (;;) {
            pollfd fds[] = {{listener_, POLLIN, 0}, {end_[0], POLLIN, 0}};
            ::poll(fds, 2, -1);
            if (fds[1].revents != 0) return;
            const int fd = ::accept(listener_, nullptr, nullptr);
            if (fd < 0) continue;
            talking_.emplace_back([this, fd] {
                Connection c(fd, end_[0]);
                behaviour_(c);
                ::close(fd);
            });
        }
    }
    Behaviour behaviour_;
    int listener_, end_[2] = {-1, -1};
    std::thread accepting_;
    std::list<std::thread> talking_;
};

/// Answers every datagram with what the function makes of it; nothing for an empty answer.
class FakeDatagramServer {
public:
    explicit FakeDatagramServer(std::function<std::string(std::string_view)> answer)
        : fd_(bound(SOCK_DGRAM)) {
        ::pipe(end_);
        thread_ = std::thread([this, answer = std::move(answer)] {
            for (;;) {
                pollfd fds[] = {{fd_, POLLIN, 0}, {end_[0], POLLIN, 0}};
                ::poll(fds, 2, -1);
                if (fds[1].revents != 0) return;
                char buffer[4096];
                sockaddr_in from{};
                socklen_t size = sizeof from;
                const ssize_t n = ::recvfrom(fd_, buffer, sizeof buffer, 0,
                                             reinterpret_cast<sockaddr*>(&from), &size);
                const std::string reply = n < 0 ? "" : answer({buffer, size_t(n)});
                if (!reply.empty())
                    ::sendto(fd_, reply.data(), reply.size(), 0, reinterpret_cast<sockaddr*>(&from),
                             size);
            }
        });
    }
    ~FakeDatagramServer() {
        ::close(end_[1]);
        thread_.join();
        ::close(fd_);
        ::close(end_[0]);
    }
    Endpoint at() const { return loopback(port_of(fd_)); }

private:
    int fd_, end_[2] = {-1, -1};
    std::thread thread_;
};

}  // namespace torii::healthcheck::test
