#pragma once
// The part of a SteeringSet that follows from firewall marks and tunnels. Pure functions.

#include <vector>

#include "dataplane/stages/view.h"
#include "dataplane/xdp/steering.h"

namespace torii::io {

/// The blocks that carry marks: packets whose mark has a service are taken.
std::vector<xdp::MarkedBlock> marked_blocks(const stages::View&);

/// Every block of both, with all that either takes there.
std::vector<xdp::MarkedBlock> taken_by_either(const std::vector<xdp::MarkedBlock>&,
                                              const std::vector<xdp::MarkedBlock>&);

/// The servers behind tunnels, by what an error about a packet to them quotes. Sorted, each once.
std::vector<xdp::ServiceKey> tunnel_keys(const stages::View&);

/// The keys of a NAT backend's replies; one of a mark service may answer by every protocol, one of
/// FTP from every port.
void add_reply_keys(const shm::BackendRecord&, std::vector<xdp::ServiceKey>&);

/// Persistent FTP: its data connections come to port 20 and to any from 1024 on, and go where its
/// control connection went (stages::find_service()).
bool takes_ftp_data(const shm::ServiceRecord&);

}  // namespace torii::io
