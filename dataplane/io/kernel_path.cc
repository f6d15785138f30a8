#include "dataplane/io/kernel_path.h"

#include <fmt/format.h>
#include <poll.h>
#include <rte_ether.h>
#include <rte_mbuf.h>
#include <spdlog/spdlog.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <chrono>
#include <cstring>
#include <optional>
#include <thread>

#include "dataplane/io/eal.h"
#include "dataplane/io/port.h"
#include "dataplane/io/ring.h"
#include "dataplane/io/tap.h"

namespace torii::io {
namespace {

constexpr unsigned kRing = 512;
constexpr unsigned kBurst = 32;

class Bell {  // an eventfd
public:
    Bell() : fd_(::eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC)) {}
    Bell(Bell&& o) noexcept : fd_(std::exchange(o.fd_, -1)) {}
    ~Bell() {
        if (fd_ >= 0) ::close(fd_);
    }
    int fd() const { return fd_; }
    void ring() const {
        const uint64_t one = 1;
        [[maybe_unused]] const ssize_t n = ::write(fd_, &one, sizeof one);
    }
    bool quiet() const {  // true if it had rung
        uint64_t count;
        return ::read(fd_, &count, sizeof count) == ssize_t(sizeof count);
    }

private:
    int fd_;
};

// The instance's TAP is on no VLAN, and takes only what is addressed to it.
void readdress(rte_mbuf* m, const Mac& mac) {
    auto* ether = rte_pktmbuf_mtod(m, rte_ether_hdr*);
    if (ether->ether_type == RTE_BE16(RTE_ETHER_TYPE_VLAN) && rte_vlan_strip(m) == 0)
        ether = rte_pktmbuf_mtod(m, rte_ether_hdr*);
    if (!rte_is_multicast_ether_addr(&ether->dst_addr))
        std::memcpy(ether->dst_addr.addr_bytes, mac.bytes.data(), mac.bytes.size());
}

}  // namespace

struct KernelPath::Impl {
    struct Way {  // of one port
        std::optional<Tap> tap;
        Ring from_kernel;
    };
    rte_mempool* pool = nullptr;
    std::optional<Tap> common;
    std::vector<Way> ways;        // by port
    std::vector<Ring> to_kernel;  // by worker
    std::vector<Bell> bells;      // by worker
    Bell work, stop;
    std::thread thread;
    uint64_t refused = 0;
    std::chrono::steady_clock::time_point said{};

    void run();
    bool deliver();
    void collect(uint16_t port);
    void complain();
};

void KernelPath::Impl::complain() {
    const auto now = std::chrono::steady_clock::now();
    if (refused == 0 || now - said < std::chrono::seconds(10)) return;
    spdlog::warn("event=kernel_refused packets={}", refused);
    refused = 0;
    said = now;
}

// Workers' packets into the kernel. True if there were some.
bool KernelPath::Impl::deliver() {
    std::array<rte_mbuf*, kBurst> burst;
    bool any = false;
    for (const Ring& ring : to_kernel) {
        const unsigned n = get(ring, burst.data(), kBurst);
        any = any || n != 0;
        for (unsigned i = 0; i < n; ++i) {
            rte_mbuf* m = burst[i];
            const Way& way = ways[m->port];
            if (!way.tap) readdress(m, common->mac());
            const Tap& tap = way.tap ? *way.tap : *common;
            refused += !tap.write({rte_pktmbuf_mtod(m, const std::byte*), m->data_len});
        }
        rte_pktmbuf_free_bulk(burst.data(), n);
    }
    return any;
}

// What the kernel sends out of a port's TAP, to the worker that sends for the port.
void KernelPath::Impl::collect(uint16_t port) {
    const Way& way = ways[port];
    std::array<rte_mbuf*, kBurst> burst;
    unsigned n = 0;
    for (; n < kBurst; ++n) {
        rte_mbuf* m = rte_pktmbuf_alloc(pool);
        if (!m) break;
        const size_t length =
            way.tap->read({rte_pktmbuf_mtod(m, std::byte*), rte_pktmbuf_tailroom(m)});
        if (length == 0) {
            rte_pktmbuf_free(m);
            break;
        }
        m->data_len = uint16_t(length);
        m->pkt_len = uint32_t(length);
        burst[n] = m;
    }
    if (n == 0) return;
    const unsigned taken = put(way.from_kernel, burst.data(), n);
    rte_pktmbuf_free_bulk(burst.data() + taken, n - taken);
    bells[port % bells.size()].ring();
}

void KernelPath::Impl::run() {
    if (auto ok = register_thread("torii-kernel"); !ok) {
        spdlog::error("event=thread_failed message=\"{}\"", ok.error().message);
        return;
    }
    std::vector<pollfd> fds = {{stop.fd(), POLLIN, 0}, {work.fd(), POLLIN, 0}};
    std::vector<uint16_t> port_of;
    for (uint16_t p = 0; p < ways.size(); ++p)
        if (ways[p].tap) {
            fds.push_back({ways[p].tap->fd(), POLLIN, 0});
            port_of.push_back(p);
        }
    std::array<std::byte, 2048> nowhere;
    fds.push_back({common->fd(), POLLIN, 0});
    while ((fds[0].revents & POLLIN) == 0) {
        ::poll(fds.data(), fds.size(), 1000);
        if (fds[1].revents & POLLIN) work.quiet();
        while (deliver()) {
        }
        for (size_t i = 0; i < port_of.size(); ++i)
            if (fds[2 + i].revents & POLLIN) collect(port_of[i]);
        // Nothing leaves by the common TAP; what the kernel sends there is emptied away.
        while (fds.back().revents & POLLIN && common->read(nowhere) != 0) {
        }
        complain();
    }
    unregister_thread();
}

KernelPath::KernelPath(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
KernelPath::~KernelPath() {
    if (!impl_->thread.joinable()) return;
    impl_->stop.ring();
    impl_->thread.join();
}

Result<std::unique_ptr<KernelPath>> KernelPath::open(const Setup& s) {
    auto impl = std::make_unique<Impl>();
    impl->pool = s.pool;
    uint32_t mtu = 1500;
    for (const PortFacts* f : s.ports) mtu = std::max(mtu, f->mtu);
    auto common = Tap::create({instance_tap_name(s.instance), Tap::Use::one_way, {}, mtu});
    if (!common) return tl::unexpected(common.error());
    impl->common.emplace(std::move(*common));
    for (unsigned w = 0; w < s.workers; ++w) {
        auto ring = make_ring(fmt::format("to_kernel_{}", w), kRing);
        if (!ring) return tl::unexpected(ring.error());
        impl->to_kernel.push_back(std::move(*ring));
        impl->bells.emplace_back();
    }
    for (const PortFacts* f : s.ports) {
        Impl::Way way;
        if (!f->kernel_interface.empty()) {
            auto tap = Tap::create({f->kernel_interface, Tap::Use::port, f->mac, f->mtu});
            if (!tap)
                return tl::unexpected(Error(tap.error()).within(fmt::format("port {}", f->name)));
            auto ring = make_ring(fmt::format("from_kernel_{}", impl->ways.size()), kRing);
            if (!ring) return tl::unexpected(ring.error());
            way.tap.emplace(std::move(*tap));
            way.from_kernel = std::move(*ring);
        }
        impl->ways.push_back(std::move(way));
    }
    impl->thread = std::thread([i = impl.get()] { i->run(); });
    return std::unique_ptr<KernelPath>(new KernelPath(std::move(impl)));
}

unsigned KernelPath::give(unsigned worker, rte_mbuf** packets, unsigned count) {
    const unsigned taken = put(impl_->to_kernel[worker], packets, count);
    // One system call a burst that has such packets at all; the alternative is a thread that polls.
    impl_->work.ring();
    return taken;
}

unsigned KernelPath::take(uint16_t port, rte_mbuf** packets, unsigned room) {
    return get(impl_->ways[port].from_kernel, packets, room);
}

unsigned KernelPath::sender_of(uint16_t port) const { return port % unsigned(impl_->bells.size()); }
bool KernelPath::sends(uint16_t port) const { return impl_->ways[port].tap.has_value(); }
int KernelPath::wake_fd(unsigned worker) const { return impl_->bells[worker].fd(); }
void KernelPath::wake(unsigned worker) { impl_->bells[worker].ring(); }
void KernelPath::calm(unsigned worker) { impl_->bells[worker].quiet(); }

}  // namespace torii::io
