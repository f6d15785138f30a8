#pragma once
// What one probe found: why it failed, told apart so that an operator knows where to look.

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace torii::healthcheck {

using Clock = std::chrono::steady_clock;
using TimePoint = Clock::time_point;
using Duration = std::chrono::microseconds;

enum class Reason : uint8_t {
    success,
    refused,
    timeout,
    reset,
    closed,
    unreachable,
    bad_status,
    mismatch,
    tls,
    protocol,
    too_large,
    script,
    local,
    count_
};

struct ReasonInfo {
    Reason id;
    std::string_view name, help;
};
/// In the order of the enum. The API, the metrics and the log use these names.
inline constexpr ReasonInfo kReasons[] = {
    {Reason::success, "success", "the probe was answered as it should be"},
    {Reason::refused, "refused", "the server refused the connection, or the port is closed"},
    {Reason::timeout, "timeout", "no complete answer within the timeout"},
    {Reason::reset, "reset", "the server reset the connection"},
    {Reason::closed, "closed", "the server closed the connection before its answer was complete"},
    {Reason::unreachable, "unreachable", "no route, no neighbour, or a router or firewall said so"},
    {Reason::bad_status, "bad_status", "the answer says that something is wrong"},
    {Reason::mismatch, "mismatch", "the answer is not what is expected"},
    {Reason::tls, "tls", "TLS could not be agreed on, or the certificate is not valid"},
    {Reason::protocol, "protocol", "the answer is not of the protocol"},
    {Reason::too_large, "too_large", "a header, line or body is longer than is allowed"},
    {Reason::script, "script", "the script failed or could not be run"},
    {Reason::local, "local", "this machine could not make the probe"},
};
static_assert(std::size(kReasons) == size_t(Reason::count_));

constexpr std::string_view to_string(Reason r) { return kReasons[size_t(r)].name; }

struct Result {
    Reason reason = Reason::success;
    std::string detail;              ///< a sentence without a full stop; empty when there is none
    std::optional<uint16_t> weight;  ///< what a script said the server's weight is
    std::string warning;             ///< what is good now but will not be for long
    Duration took{0};
    bool good() const { return reason == Reason::success; }
};

/// What errno (of connect, send or receive) says about the server.
Result failed(int error);

}  // namespace torii::healthcheck
