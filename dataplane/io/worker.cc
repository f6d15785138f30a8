#include "dataplane/io/worker.h"

#include <fmt/format.h>
#include <poll.h>
#include <rte_ethdev.h>
#include <rte_mbuf.h>
#include <rte_pause.h>
#include <spdlog/spdlog.h>
#include <sys/prctl.h>

#include <algorithm>
#include <ctime>

#include "dataplane/io/eal.h"
#include "dataplane/stages/patrol.h"

namespace torii::io {
namespace {

using stages::Outcome;
using stages::Packet;
using stages::Verdict;

constexpr uint32_t kTimersALoop = 256;

rte_mbuf* buffer_of(const Packet& p) { return static_cast<rte_mbuf*>(p.owner); }

// What the stages did to data and length, into the buffer.
void carry_back(const Packet& p, rte_mbuf* m) {
    m->data_off = uint16_t(p.data - static_cast<std::byte*>(m->buf_addr));
    m->data_len = p.length;
    m->pkt_len = p.length;
    m->ol_flags = 0;
}

}  // namespace

void describe(Packet& p, rte_mbuf* m, uint16_t port) {
    p = Packet{};
    // The stages see one piece of memory. Packets in several pieces are rare: jumbo frames of a
    // card that was not told to use large buffers.
    if (m->nb_segs > 1 && rte_pktmbuf_linearize(m) != 0) p.close(Verdict::drop_no_memory);
    p.data = rte_pktmbuf_mtod(m, std::byte*);
    p.length = m->data_len;
    p.headroom = rte_pktmbuf_headroom(m);
    p.tailroom = rte_pktmbuf_tailroom(m);
    p.in_port = port;
    p.owner = m;
}

QueuePlan::QueuePlan(std::span<const PortFacts* const> ports, unsigned workers)
    : receive_(workers), transmit_(workers) {
    unsigned next = 0;
    for (uint16_t p = 0; p < ports.size(); ++p) {
        const PortFacts& f = *ports[p];
        for (const DeviceQueue& q : f.receive) receive_[next++ % workers].push_back({p, q});
        std::vector<rte_spinlock_t*> locks(f.transmit.size(), nullptr);
        for (unsigned w = 0; w < workers; ++w) {
            const size_t q = w % f.transmit.size();
            // With as many queues as workers each has its own; otherwise all of them are locked.
            if (f.transmit.size() < workers && !locks[q]) {
                locks_.push_back(std::make_unique<rte_spinlock_t>());
                rte_spinlock_init(locks_.back().get());
                locks[q] = locks_.back().get();
            }
            transmit_[w].push_back({f.transmit[q], locks[q]});
        }
    }
}

Worker::Worker(Setup setup)
    : setup_(std::move(setup)),
      flows_(setup_.table->worker(setup_.number)),
      state_(setup_.table->seed(), setup_.service_slots, setup_.backend_slots, setup_.fragments),
      outgoing_(setup_.transmit.size()) {
    policy_.longest_ns = setup_.longest_sleep_ns;
    policy_.can_block =
        std::ranges::all_of(setup_.receive, [](const auto& q) { return q.at.wake_fd >= 0; });
    for (uint16_t p = 0; p < setup_.transmit.size(); ++p)
        if (setup_.kernel->sends(p) && setup_.kernel->sender_of(p) == setup_.number)
            kernel_ports_.push_back(p);
}

void Worker::start(const stages::View* view) {
    current_.set(view);
    thread_ = std::thread([this] { run(); });
}

void Worker::use(const stages::View* view) {
    current_.set(view);
    setup_.kernel->wake(setup_.number);
}

void Worker::join() {
    if (thread_.joinable()) thread_.join();
}

void Worker::run() {
    const std::string name = fmt::format("torii-worker{}", setup_.number);
    if (auto ok = register_thread(name.c_str(), int(setup_.core)); !ok) {
        spdlog::error("event=worker_failed worker={} message=\"{}\"", setup_.number,
                      ok.error().message);
        return;
    }
    // A sleep of 20 microseconds is to last 20, not the 70 that the default slack makes of it.
    ::prctl(PR_SET_TIMERSLACK, 1UL, 0, 0, 0);
    flows_.online();
    loop();
    empty_waiting();
    flows_.offline();
    unregister_thread();
}

stages::Context Worker::context() {
    return {*view_,        flows_,        state_,      setup_.counters,
            setup_.number, clock_.tick(), clock_.us(), setup_.events};
}

void Worker::loop() {
    clock_.read();
    last_packet_tsc_ = accounted_tsc_ = clock_.tsc();
    uint32_t stamp = 0;
    while (const stages::View* view = current_.take()) {
        view_ = view;
        const bool new_routes = stamp != view->routes_stamp;
        stamp = view->routes_stamp;
        state_.standby.follow(*setup_.standby);
        clock_.read();
        bool busy = false;
        for (const ReceiveQueue& q : setup_.receive) busy |= serve(q);
        busy |= serve_given();
        busy |= from_kernel();
        if (state_.fragments.datagrams() != 0) attend_fragments();
        if (!waiting_.empty()) attend_waiting(new_routes);
        busy |= flows_.expire(clock_.tick(), kTimersALoop) != 0;
        if (setup_.number == 0 && stages::wants_patrol(*view, state_.patrol, clock_.tick())) {
            stages::Context c = context();
            busy |= stages::patrol(c);
        }
        flows_.quiescent();
        rest(busy);
    }
}

bool Worker::serve(const ReceiveQueue& q) {
    std::array<rte_mbuf*, kBurst> buffers;
    const uint16_t n = rte_eth_rx_burst(q.at.device, q.at.queue, buffers.data(), kBurst);
    if (n == 0) return false;
    for (uint16_t i = 0; i < n; ++i) rte_prefetch0(rte_pktmbuf_mtod(buffers[i], void*));
    for (uint16_t i = 0; i < n; ++i) describe(packets_[i], buffers[i], q.port);
    serve(std::span(packets_.data(), n));
    return true;
}

void Worker::serve(std::span<Packet> burst) {
    stages::Context c = context();
    dataplane::process(c, burst);
    distribute(burst);
    // After transmission: a packet that the port refuses has the verdict drop_tx_full and no other.
    dataplane::account(c, burst);
    if (state_.fragments.held() != 0) serve_released();
}

void Worker::distribute(std::span<Packet> burst) {
    bool kernel = false;
    for (Packet& p : burst) {
        if (p.held) {
            hold(p);
            continue;
        }
        switch (stages::info(p.verdict).outcome) {
            case Outcome::forwarded:
            case Outcome::answered:
                send(p);
                break;
            case Outcome::kernel:
                kernel = true;
                break;
            case Outcome::none:
            case Outcome::dropped:
                rte_pktmbuf_free(buffer_of(p));
                break;
        }
    }
    flush_all();
    if (kernel) to_kernel(burst);
}

void Worker::hold(Packet& p) {
    if (p.verdict == Verdict::aside) return put_aside(p);
    if (waiting_.admit(p, clock_.us())) return;
    p.held = false;
    p.close(Verdict::drop_no_neighbour);
    rte_pktmbuf_free(buffer_of(p));
}

void Worker::send(Packet& p, bool counted) {
    rte_mbuf* m = buffer_of(p);
    if (p.out_port >= outgoing_.size()) [[unlikely]] {
        p.close(Verdict::drop_no_port);
        rte_pktmbuf_free(m);
        return;
    }
    if (p.cut_to != 0) [[unlikely]]
        return send_pieces(p, counted);
    carry_back(p, m);
    queue(m, p.out_port, counted ? nullptr : &p);
}

void Worker::queue(rte_mbuf* m, uint16_t port, Packet* whose) {
    Outgoing& out = outgoing_[port];
    out.packets[out.count] = m;
    out.of[out.count] = whose;
    if (++out.count == kBurst) flush(port);
}

void Worker::flush(uint16_t port) {
    Outgoing& out = outgoing_[port];
    if (out.count == 0) return;
    const TransmitQueue& q = setup_.transmit[port];
    uint64_t bytes = 0;
    for (uint16_t i = 0; i < out.count; ++i) bytes += out.packets[i]->pkt_len;
    if (q.lock) rte_spinlock_lock(q.lock);
    uint16_t sent = rte_eth_tx_burst(q.at.device, q.at.queue, out.packets.data(), out.count);
    // The driver reclaims what was sent before when it finds its ring full; the next try has room.
    if (sent < out.count)
        sent = uint16_t(sent + rte_eth_tx_burst(q.at.device, q.at.queue, out.packets.data() + sent,
                                                uint16_t(out.count - sent)));
    if (q.lock) rte_spinlock_unlock(q.lock);
    for (uint16_t i = sent; i < out.count; ++i) {
        bytes -= out.packets[i]->pkt_len;
        if (out.of[i]) out.of[i]->close(Verdict::drop_tx_full);
        rte_pktmbuf_free(out.packets[i]);
    }
    shm::WorkerCounters& counters = setup_.counters.worker(setup_.number);
    counters.transmitted.add(sent);
    counters.transmitted_bytes.add(bytes);
    out.count = 0;
}

void Worker::flush_all() {
    for (uint16_t p = 0; p < outgoing_.size(); ++p) flush(p);
}

void Worker::to_kernel(std::span<Packet> burst) {
    std::array<rte_mbuf*, kBurst> buffers;
    std::array<Packet*, kBurst> of;
    unsigned n = 0;
    for (Packet& p : burst) {
        if (p.held || stages::info(p.verdict).outcome != Outcome::kernel) continue;
        rte_mbuf* m = buffer_of(p);
        m->port = p.in_port;
        of[n] = &p;
        buffers[n++] = m;
    }
    for (unsigned i = setup_.kernel->give(setup_.number, buffers.data(), n); i < n; ++i) {
        of[i]->close(Verdict::drop_no_kernel);
        rte_pktmbuf_free(buffers[i]);
    }
}

bool Worker::from_kernel() {
    bool any = false;
    for (const uint16_t port : kernel_ports_) {
        Outgoing& out = outgoing_[port];
        out.count = uint16_t(setup_.kernel->take(port, out.packets.data(), kBurst));
        out.of.fill(nullptr);
        any |= out.count != 0;
        flush(port);
    }
    return any;
}

// Packets that waited for their neighbour: with another routes generation it may be there.
void Worker::attend_waiting(bool retry) {
    stages::Context c = context();
    const auto leaves = [&](Packet& p) {
        if (!dataplane::resolve_held(c, p)) return false;
        const Outcome o = stages::info(p.verdict).outcome;
        if (o == Outcome::forwarded || o == Outcome::answered) {
            send(p, true);  // it leaves the room, and it was counted already
        } else {
            rte_pktmbuf_free(buffer_of(p));
        }
        return true;
    };
    if (retry) waiting_.retry(leaves);
    waiting_.expire(clock_.us(), [&](Packet& p) {
        dataplane::abandon_held(c, p);
        rte_pktmbuf_free(buffer_of(p));
    });
    flush_all();
}

void Worker::empty_waiting() {
    if (!view_) return;
    state_.fragments.expire(~0ull, ~0u);
    serve_released();
    stages::Context c = context();
    waiting_.expire(~0ull, [&](Packet& p) {
        dataplane::abandon_held(c, p);
        rte_pktmbuf_free(buffer_of(p));
    });
}

void Worker::rest(bool busy) {
    const uint64_t now = clock_.tsc();
    shm::WorkerCounters& counters = setup_.counters.worker(setup_.number);
    if (busy) last_packet_tsc_ = now;
    // Counted in steps, so that an idle worker does not write its counters every loop.
    if (const uint64_t ns = clock_.ns_between(accounted_tsc_, now); busy || ns > 1'000'000) {
        (busy ? counters.busy_ticks : counters.idle_ticks).add(ns / 1'000);
        accounted_tsc_ = now;
    }
    if (busy) return;
    const Rest r = rest_after(policy_, clock_.ns_between(last_packet_tsc_, now));
    switch (r.kind) {
        case Rest::Kind::none:
            rte_pause();
            break;
        case Rest::Kind::sleep: {
            const timespec t{0, long(r.ns)};
            ::clock_nanosleep(CLOCK_MONOTONIC, 0, &t, nullptr);
            break;
        }
        case Rest::Kind::block:
            block(r.ns);
            break;
    }
}

// Nobody has to wait for a worker that holds no reference, so it says so while it is away.
void Worker::block(uint64_t ns) {
    std::array<pollfd, 65> fds;
    nfds_t n = 0;
    fds[n++] = {setup_.kernel->wake_fd(setup_.number), POLLIN, 0};
    for (const ReceiveQueue& q : setup_.receive)
        if (n < fds.size()) fds[n++] = {q.at.wake_fd, POLLIN, 0};
    flows_.offline();
    ::poll(fds.data(), n, int(ns / 1'000'000));
    flows_.online();
    if (fds[0].revents & POLLIN) setup_.kernel->calm(setup_.number);
}

}  // namespace torii::io
