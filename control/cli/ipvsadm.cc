#include "control/cli/ipvsadm.h"

#include <arpa/inet.h>
#include <fmt/format.h>
#include <netdb.h>
#include <unistd.h>

#include <algorithm>
#include <charconv>
#include <cstdio>

#include "control/api/client.h"
#include "control/cli/ipvsadm_format.h"
#include "control/cli/place.h"

namespace torii::cli {
namespace {

constexpr std::string_view kVersion =
    "ipvsadm v1.31 2019/12/24 (compiled with popt and IPVS v1.2.1)";

int complain(int status, const std::string& text) {
    std::fflush(stdout);
    fmt::print(stderr, "{}\n", text);
    return status;
}

// The reason alone, as strerror() would say it: the error's last part.
std::string reason_of(const Error& e) {
    const size_t colon = e.message.rfind(": ");
    return colon == std::string::npos ? e.message : e.message.substr(colon + 2);
}

int no_daemon(const Place& place, const Error& e) {
    const bool absent = e.code == Errc::not_found || e.code == Errc::busy;
    fmt::print(stderr, "Can't initialize ipvs: {}\n{}\n", reason_of(e),
               absent ? fmt::format("toriid of instance {} is not running: nothing serves {}",
                                    place.instance, place.socket)
                      : fmt::format("toriid of instance {} cannot be asked through {}",
                                    place.instance, place.socket));
    return 2;
}

Result<std::string> get(const Place& place, const std::string& target) {
    auto answer = api::ask(place.socket, "GET", target);
    if (!answer) return tl::unexpected(answer.error());
    if (answer->status != 200) return fail(Errc::io, api::error_message(answer->body));
    return std::move(answer->body);
}

std::string help(const std::string& argv0) {
    return fmt::format(
        "{}\n"
        "Usage:\n"
        "  {} -L|l [options]\n\n"
        "Commands of this version:\n"
        "  --list            -L|-l         list the table\n"
        "  --help            -h            display this help message\n\n"
        "Options:\n"
        "  --tcp-service   -t service-address   only this service (host[:port])\n"
        "  --udp-service   -u service-address   only this service\n"
        "  --sctp-service     service-address   only this service\n"
        "  --connection    -c                   output of current IPVS connections\n"
        "  --timeout                            output of timeout (tcp tcpfin udp)\n"
        "  --daemon                             output of daemon information\n"
        "  --stats                              output of statistics information\n"
        "  --exact         -X                   expand numbers (display exact values)\n"
        "  --thresholds                         output of thresholds information\n"
        "  --persistent-conn                    output of persistent connection info\n"
        "  --nosort                             disable sorting output of service/server entries\n"
        "  --sort                               does nothing, for backwards compatibility\n"
        "  --numeric       -n                   numeric output of addresses and ports\n\n"
        "The instance is $TORII_INSTANCE, or 'default'.\n",
        kVersion, argv0);
}

int list_connections(const Place& place, const Names& names) {
    fmt::print("{}", connections_title());
    bool readable = true;
    const auto done = api::ask_lines(place.socket, "/v1/connections", [&](std::string_view line) {
        const auto connection = api::from_json<api::Connection>(line);
        if (!connection) return readable = false;
        fmt::print("{}", connection_row(*connection, names));
        return !std::ferror(stdout);
    });
    if (!done) return complain(1, done.error().message);
    if (!readable) return complain(1, "toriid's answer cannot be read");
    if (done->status != 200) return complain(1, api::error_message(done->body));
    return 0;
}

// Leaves only the service that was asked for; Errc::not_found when it is not there.
Result<> select(const ListRequest& l, api::Services& all) {
    if (l.fwmark) return fail(Errc::not_found, "No such service");
    const auto wanted = parse_host_port(l.service, l.protocol);
    if (!wanted) return tl::unexpected(wanted.error());
    std::erase_if(all.services, [&](const api::Service& s) {
        return s.protocol != l.protocol || s.endpoint != *wanted;
    });
    if (all.services.empty()) return fail(Errc::not_found, "No such service");
    return {};
}

int list_table(const ListRequest& l, api::Services all, const Names& names) {
    ListOptions options;
    options.exact = l.exact;
    options.sorted = l.sorted;
    if (l.one_service) {
        if (auto ok = select(l, all); !ok)
            return complain(ok.error().code == Errc::not_found ? 1 : 2, ok.error().message);
        options.version = false;
    }
    if (!l.stats && (l.rate || (l.tunnels && !l.thresholds && !l.persistent)))
        return complain(2, fmt::format("--{} is not part of this version of torii",
                                       l.rate ? "rate" : "tun-info"));
    options.listing = l.stats        ? Listing::stats
                      : l.thresholds ? Listing::thresholds
                      : l.persistent ? Listing::persistent
                                     : Listing::plain;
    fmt::print("{}", list_services(all, options, names));
    return 0;
}

Result<uint16_t> parse_port(const std::string& text, Protocol p) {
    unsigned n = 0;
    const char* end = text.data() + text.size();
    const auto [stop, error] = std::from_chars(text.data(), end, n);
    if (error == std::errc{} && stop == end && n <= 65535) return uint16_t(n);
    if (const servent* s = ::getservbyname(text.c_str(), std::string(to_string(p)).c_str()))
        return ntohs(uint16_t(s->s_port));
    return fail(Errc::invalid, "no such port");
}

Result<Address> parse_host4(const std::string& text) {
    in_addr a{};
    if (::inet_aton(text.c_str(), &a) != 0) return Address::v4(be32::from_raw(a.s_addr));
    addrinfo hints{}, *found = nullptr;
    hints.ai_family = AF_INET;
    hints.ai_socktype = SOCK_STREAM;
    if (text.empty() || ::getaddrinfo(text.c_str(), nullptr, &hints, &found) != 0)
        return fail(Errc::invalid, "no such host");
    const auto* sa = reinterpret_cast<const sockaddr_in*>(found->ai_addr);
    const Address address = Address::v4(be32::from_raw(sa->sin_addr.s_addr));
    ::freeaddrinfo(found);
    return address;
}

Result<Endpoint> parse_bracketed(const std::string& text, Protocol p) {
    const size_t close = text.find("]:");
    if (close == std::string::npos) return fail(Errc::invalid, "no port");
    const auto address = parse_address(text.substr(1, close - 1));
    const auto port = parse_port(text.substr(close + 2), p);
    if (!address || address->is_v4() || !port) return fail(Errc::invalid, "no address");
    return Endpoint{*address, *port};
}

}  // namespace

Result<Endpoint> parse_host_port(const std::string& text, Protocol p) {
    const auto refused = fail(Errc::invalid, "illegal virtual server address[:port] specified");
    if (text.find_first_not_of("0123456789") == std::string::npos) return refused;
    if (text.front() == '[') {
        const auto e = parse_bracketed(text, p);
        return e ? e : Result<Endpoint>(refused);
    }
    if (const auto v6 = parse_address(text); v6 && !v6->is_v4()) return Endpoint{*v6, 0};
    const size_t colon = text.find(':');
    const auto address = parse_host4(text.substr(0, colon));
    if (!address) return refused;
    if (colon == std::string::npos) return Endpoint{*address, 0};
    const auto port = parse_port(text.substr(colon + 1), p);
    if (!port) return refused;
    return Endpoint{*address, *port};
}

int ipvsadm_main(std::span<const std::string> words, const std::string& argv0) {
    const auto place = find_place("", "");
    if (!place) return complain(2, "Can't initialize ipvs: " + place.error().message);
    // As ipvsadm opens the kernel's table before it looks at its arguments.
    const auto body = get(*place, "/v1/services");
    if (!body) return no_daemon(*place, body.error());
    auto all = api::from_json<api::Services>(*body);
    if (!all) return no_daemon(*place, all.error());

    const auto line = read_line(words, argv0);
    if (!line) return complain(line.error().status, line.error().message);
    if (line->asked == Asked::help) return fmt::print("{}", help(argv0)), 0;
    if (line->asked == Asked::version) return fmt::print("{}\n", kVersion), 0;
    const ListRequest& l = line->list;
    const Names names = l.numeric ? numeric_names() : resolved_names();
    if (l.connections) return list_connections(*place, names);
    if (l.timeouts) {
        fmt::print("Timeout (tcp tcpfin udp): {} {} {}\n", all->tcp_timeout, all->tcp_fin_timeout,
                   all->udp_timeout);
        return 0;
    }
    if (l.daemons) return 0;  // none runs
    return list_table(l, std::move(*all), names);
}

}  // namespace torii::cli
