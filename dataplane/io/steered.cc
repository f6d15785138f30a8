#include "dataplane/io/steered.h"

#include <algorithm>
#include <iterator>

namespace torii::io {
namespace {

constexpr uint16_t kFtp = 21;

// Of the outer header (RFC 2003, 2473, 2784).
constexpr Protocol kIpip{4}, kIpv6InIp{41}, kGre{47};

void add_tunnel_keys(const shm::BackendRecord& b, std::vector<xdp::ServiceKey>& keys) {
    switch (b.tunnel.type) {
        case shm::TunnelType::ipip:
            keys.push_back({b.address, 0, kIpip});
            keys.push_back({b.address, 0, kIpv6InIp});
            break;
        case shm::TunnelType::gre:
            keys.push_back({b.address, 0, kGre});
            break;
        case shm::TunnelType::gue:
            keys.push_back({b.address, b.tunnel.port.host(), Protocol::udp});
            break;
    }
}

}  // namespace

std::vector<xdp::MarkedBlock> marked_blocks(const stages::View& view) {
    std::vector<xdp::MarkedBlock> out;
    for (const stages::Marks::Block& block : view.marks.blocks()) {
        xdp::MarkedBlock b{block.destination, {}};
        for (const shm::MarkRecord& r : block.rules) {
            const bool served =
                view.services.find_mark(r.mark, block.destination.address.family()) != nullptr;
            b.ports.push_back({r.protocol, r.first_port, r.last_port, served});
        }
        // What no rule takes needs no entry, unless a block around it takes something.
        while (!b.ports.empty() && !b.ports.back().take) b.ports.pop_back();
        out.push_back(std::move(b));
    }
    std::ranges::sort(out);
    return out;
}

// A block of one generation must not hide what a larger block of the other takes.
std::vector<xdp::MarkedBlock> taken_by_either(const std::vector<xdp::MarkedBlock>& a,
                                              const std::vector<xdp::MarkedBlock>& b) {
    if (a == b) return a;
    std::vector<xdp::MarkedBlock> out;
    for (const auto* side : {&a, &b})
        for (const xdp::MarkedBlock& m : *side) out.push_back({m.destination, {}});
    std::ranges::sort(out);
    out.erase(std::ranges::unique(out).begin(), out.end());
    for (xdp::MarkedBlock& m : out)
        for (const auto* side : {&a, &b})
            for (const xdp::MarkedBlock& around : *side)
                if (around.destination.length <= m.destination.length &&
                    around.destination.contains(m.destination.address))
                    std::ranges::copy_if(around.ports, std::back_inserter(m.ports),
                                         &xdp::MarkedPorts::take);
    return out;
}

std::vector<xdp::ServiceKey> tunnel_keys(const stages::View& view) {
    std::vector<xdp::ServiceKey> keys;
    for (const shm::BackendRecord& b : view.services.backends)
        if (b.present && b.forward == shm::Forward::tunnel) add_tunnel_keys(b, keys);
    std::ranges::sort(keys);
    keys.erase(std::ranges::unique(keys).begin(), keys.end());
    return keys;
}

bool takes_ftp_data(const shm::ServiceRecord& s) {
    return s.mark == 0 && s.protocol == Protocol::tcp && s.port.host() == kFtp &&
           (s.flags & shm::kPersistent);
}

void add_reply_keys(const shm::BackendRecord& b, std::vector<xdp::ServiceKey>& keys) {
    // By the owner, which one that has left still names; whether it is persistent only costs a
    // look.
    const bool ftp = b.protocol == Protocol::tcp && b.owner.port.host() == kFtp;
    if (ftp) keys.push_back({b.address, 0, b.protocol});
    if (b.protocol != Protocol::any) return keys.push_back({b.address, b.port.host(), b.protocol});
    for (const Protocol p : {Protocol::tcp, Protocol::udp, Protocol::sctp})
        keys.push_back({b.address, b.port.host(), p});
}

}  // namespace torii::io
