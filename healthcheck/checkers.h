#pragma once
// The single types of check, for the table in probe.cc.

#include "healthcheck/probe.h"

namespace torii::healthcheck {

std::unique_ptr<Probe> start_tcp(Environment&, const Request&, Done);
std::unique_ptr<Probe> start_http(Environment&, const Request&, Done);
std::unique_ptr<Probe> start_smtp(Environment&, const Request&, Done);
std::unique_ptr<Probe> start_script(Environment&, const Request&, Done);
std::unique_ptr<Probe> start_dns(Environment&, const Request&, Done);
std::unique_ptr<Probe> start_udp(Environment&, const Request&, Done);
std::unique_ptr<Probe> start_icmp(Environment&, const Request&, Done);

std::string http_mistake(const config::Health&);
std::string smtp_mistake(const config::Health&);
std::string script_mistake(const config::Health&);
std::string dns_mistake(const config::Health&);
std::string udp_mistake(const config::Health&);

/// A probe that this machine cannot make.
Result cannot(std::string_view what, int error);

}  // namespace torii::healthcheck
