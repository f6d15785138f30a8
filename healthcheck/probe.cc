#include "healthcheck/probe.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstring>

#include "healthcheck/checkers.h"

namespace torii::healthcheck {
namespace {

using config::HealthType;

std::string nothing(const config::Health&) { return {}; }

constexpr Checker kCheckers[] = {
    {HealthType::tcp, "tcp", nothing, start_tcp},
    {HealthType::http, "http", http_mistake, start_http},
    {HealthType::https, "https", http_mistake, start_http},
    {HealthType::smtp, "smtp", smtp_mistake, start_smtp},
    {HealthType::script, "script", script_mistake, start_script},
    {HealthType::dns, "dns", dns_mistake, start_dns},
    {HealthType::udp, "udp", udp_mistake, start_udp},
    {HealthType::icmp, "icmp", nothing, start_icmp},
};

}  // namespace

Result Probe::expired() const {
    Result r;
    r.reason = Reason::timeout;
    return r;
}

std::span<const Checker> checkers() { return kCheckers; }

const Checker* find_checker(const config::Health& h) {
    const auto row = std::ranges::find(kCheckers, h.type, &Checker::type);
    return row == std::end(kCheckers) ? nullptr : &*row;
}

std::string mistake_in(const config::Health& h) {
    const Checker* row = find_checker(h);
    if (row == nullptr) return {};
    return row->mistake(h);
}

Result cannot(std::string_view what, int error) {
    Result r;
    r.reason = Reason::local;
    r.detail = fmt::format("{}: {}", what, std::strerror(error));
    return r;
}

}  // namespace torii::healthcheck
