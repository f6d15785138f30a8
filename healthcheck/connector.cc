#include "healthcheck/connector.h"

#include <sys/epoll.h>
#include <sys/socket.h>

#include <array>
#include <boost/asio/io_context.hpp>
#include <boost/asio/posix/stream_descriptor.hpp>
#include <cerrno>
#include <utility>
#include <vector>

namespace torii::healthcheck {

namespace asio = boost::asio;

struct Connector::State : std::enable_shared_from_this<State> {
    struct Slot {
        Descriptor socket;
        uint32_t generation = 0;
        Done done;
    };
    explicit State(asio::io_context& loop) : epoll(loop, ::epoll_create1(EPOLL_CLOEXEC)) {}

    void watch();
    void take_all() {
        while (take_events()) {
        }
    }
    bool take_events();  ///< whether there may be more
    uint32_t free_slot();
    Done release(uint32_t slot);

    asio::posix::stream_descriptor epoll;
    std::vector<Slot> slots;
    std::vector<uint32_t> unused;
};

Connector::Connector(asio::io_context& loop) : state_(std::make_shared<State>(loop)) {
    state_->watch();
}

Connector::~Connector() {
    state_->slots.clear();
    boost::system::error_code ignored;
    state_->epoll.close(ignored);
}

tl::expected<Connector::Ticket, int> Connector::connect(Descriptor socket, const Endpoint& to,
                                                        Done done) {
    State& s = *state_;
    sockaddr_storage address;
    const socklen_t size = to_sockaddr(to, address);
    if (::connect(socket.get(), reinterpret_cast<sockaddr*>(&address), size) != 0 &&
        errno != EINPROGRESS)
        return tl::unexpected(errno);
    const uint32_t slot = s.free_slot();
    epoll_event event{};
    event.events = EPOLLOUT | EPOLLONESHOT;
    event.data.u64 = uint64_t(s.slots[slot].generation) << 32 | slot;
    if (::epoll_ctl(s.epoll.native_handle(), EPOLL_CTL_ADD, socket.get(), &event) != 0) {
        const int error = errno;
        s.unused.push_back(slot);
        return tl::unexpected(error);
    }
    s.slots[slot].socket = std::move(socket);
    s.slots[slot].done = std::move(done);
    return Ticket{slot, s.slots[slot].generation};
}

void Connector::take_ready() { std::shared_ptr(state_)->take_all(); }

void Connector::cancel(Ticket t) {
    State& s = *state_;
    if (t.slot < s.slots.size() && s.slots[t.slot].generation == t.generation &&
        s.slots[t.slot].done)
        s.release(t.slot);
}

uint32_t Connector::State::free_slot() {
    if (unused.empty()) {
        slots.emplace_back();
        return uint32_t(slots.size() - 1);
    }
    const uint32_t slot = unused.back();
    unused.pop_back();
    return slot;
}

Connector::Done Connector::State::release(uint32_t slot) {
    Slot& s = slots[slot];
    Done done = std::exchange(s.done, nullptr);
    s.socket.reset();  // which also takes it out of the epoll set
    ++s.generation;
    unused.push_back(slot);
    return done;
}

void Connector::State::watch() {
    epoll.async_wait(asio::posix::stream_descriptor::wait_read,
                     [self = shared_from_this()](boost::system::error_code error) {
                         if (error) return;
                         self->take_all();
                         if (self->epoll.is_open()) self->watch();
                     });
}

bool Connector::State::take_events() {
    std::array<epoll_event, 256> events;
    const int count = ::epoll_wait(epoll.native_handle(), events.data(), int(events.size()), 0);
    for (int i = 0; i < count; ++i) {
        const auto slot = uint32_t(events[size_t(i)].data.u64);
        const auto generation = uint32_t(events[size_t(i)].data.u64 >> 32);
        // What was called before may have cancelled it, or ended everything.
        if (slot >= slots.size() || slots[slot].generation != generation || !slots[slot].done)
            continue;
        int error = 0;
        socklen_t size = sizeof error;
        ::getsockopt(slots[slot].socket.get(), SOL_SOCKET, SO_ERROR, &error, &size);
        const Done done = release(slot);
        done(error);
    }
    return count == int(events.size());
}

}  // namespace torii::healthcheck
