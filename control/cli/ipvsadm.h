#pragma once
// The command ipvsadm, as far as it lists. Messages and exit statuses are those of ipvsadm 1.31.

#include <span>
#include <string>

#include "config/base/address.h"
#include "config/base/error.h"

namespace torii::cli {

/// What `ipvsadm -L ...` asks for, or how it refuses. Pure.
struct ListRequest {
    bool numeric = false, connections = false, exact = false, sorted = true;
    bool timeouts = false, daemons = false;
    bool stats = false, rate = false, thresholds = false, persistent = false, tunnels = false;
    bool one_service = false;
    bool fwmark = false;  ///< one_service: of a mark, of which there are none
    Protocol protocol = Protocol::tcp;
    std::string service;  ///< one_service: as it was written
};
struct Refusal {
    int status = 2;
    std::string message;
};
enum class Asked : uint8_t { list, help, version };
struct Line {
    Asked asked = Asked::list;
    ListRequest list;
};
tl::expected<Line, Refusal> read_line(std::span<const std::string> words, const std::string& argv0);

/// host[:port] by ipvsadm's rules; names are looked up.
Result<Endpoint> parse_host_port(const std::string&, Protocol);

int ipvsadm_main(std::span<const std::string> words, const std::string& argv0);

}  // namespace torii::cli
