#pragma once
// Mailbox: messages from one thread to one other, in order, of which neither ever waits.
//
// Motivation
//   The thread that speaks VRRP has deadlines of milliseconds. With a mutex between it and the
//   event loop, whoever is preempted while holding it makes the other late; with a bounded ring, a
//   loop that hangs makes the other lose messages.
//
// Shape
//   A linked list without end. The consumer's `tail_` is the last node taken (a dummy at first);
//   the producer appends at `head_` and uses again the nodes before `tail_`, so that in a steady
//   state nothing is allocated, and the consumer never frees. An eventfd wakes the consumer.
//
// Thread-safety
//   send(): one thread, the producer. take(), rest(): one thread, the consumer. fd(): any.
//   Construction and destruction: while neither runs.
//
// Memory ordering
//   A node's value is written before `next` of its predecessor is stored with release, and read
//   after that was loaded with acquire. The value is moved out before `tail_` is stored with
//   release; the producer loads it with acquire before it uses older nodes again.
//
// Failure
//   A consumer that hangs makes the list grow; nothing is lost. A producer that dies in send()
//   leaves the message unsent.

#include <sys/eventfd.h>
#include <unistd.h>

#include <atomic>
#include <cerrno>
#include <memory>
#include <optional>
#include <utility>

#include "config/base/error.h"

namespace torii::mailbox {

/// T is default constructible and movable; a value that was moved from holds nothing.
template <class T>
class Mailbox {
public:
    static Result<std::unique_ptr<Mailbox>> open() {
        const int fd = ::eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
        if (fd < 0) return fail_errno("cannot make an eventfd", errno);
        return std::unique_ptr<Mailbox>(new Mailbox(fd));
    }
    ~Mailbox() {
        while (first_ != nullptr) {
            Node* const next = first_->next.load(std::memory_order_relaxed);
            delete std::exchange(first_, next);
        }
        ::close(fd_);
    }
    Mailbox(const Mailbox&) = delete;
    Mailbox& operator=(const Mailbox&) = delete;

    void send(T value) {
        Node* const node = fresh();
        node->value = std::move(value);
        node->next.store(nullptr, std::memory_order_relaxed);
        head_->next.store(node, std::memory_order_release);
        head_ = node;
        const uint64_t one = 1;
        // Cannot fail but by 2^64 wake-ups that nobody heeded.
        [[maybe_unused]] const ssize_t written = ::write(fd_, &one, sizeof one);
    }

    std::optional<T> take() {
        Node* const tail = tail_.load(std::memory_order_relaxed);
        Node* const node = tail->next.load(std::memory_order_acquire);
        if (node == nullptr) return std::nullopt;
        std::optional<T> value(std::move(node->value));
        tail_.store(node, std::memory_order_release);
        return value;
    }

    /// Readable while something may be there to take.
    int fd() const { return fd_; }
    /// Makes fd() unreadable until the next send(). Call it before the take() that finds nothing.
    void rest() {
        uint64_t count;
        [[maybe_unused]] const ssize_t got = ::read(fd_, &count, sizeof count);
    }

private:
    struct Node {
        std::atomic<Node*> next{nullptr};
        T value{};
    };
    explicit Mailbox(int fd) : fd_(fd) {}

    Node* fresh() {
        if (first_ == seen_) seen_ = tail_.load(std::memory_order_acquire);
        if (first_ == seen_) return new Node;
        Node* const next = first_->next.load(std::memory_order_relaxed);
        return std::exchange(first_, next);
    }

    Node* first_ = new Node;  // producer: the oldest node
    Node* head_ = first_;     // producer: the newest
    Node* seen_ = first_;     // producer: tail_ as it was last seen
    alignas(64) std::atomic<Node*> tail_{first_};
    const int fd_;
};

}  // namespace torii::mailbox
