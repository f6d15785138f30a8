// Checks come in ipvsadm's order, so that of several mistakes the same one is named.
#include "control/cli/ipvsadm_line.h"

#include <fmt/format.h>

#include <algorithm>
#include <climits>

#include "control/cli/ipvsadm_values.h"

namespace torii::cli {
namespace {

constexpr long kLongestTimeout = 31L * 24 * 60 * 60;
constexpr uint32_t kPersistence = 360;
constexpr size_t kLongestFlags = 127;  // of the text: what is more is not read

template <class... T>
[[nodiscard]] tl::unexpected<Refusal> refuse(fmt::format_string<T...> text, T&&... values) {
    return tl::unexpected(Refusal{2, fmt::format(text, std::forward<T>(values)...)});
}

using Checked = tl::expected<void, Refusal>;

// One line in the making.
class Reader {
public:
    explicit Reader(Command command) { line_.command = command; }

    Checked command(const Argument& a) {
        api::IpvsCommand& c = line_.change;
        if (line_.command != Command::start_daemon && line_.command != Command::stop_daemon)
            return {};
        if (a.value != "master" && a.value != "backup")
            return refuse("{}", line_.command == Command::start_daemon
                                    ? "illegal start-daemon parameter specified"
                                    : "illegal start_daemon specified");
        c.role = a.value;
        return {};
    }

    Checked option(const Argument& a) {
        if (command_of(*a.option)) return refuse("invalid option `{}'", a.last_word);
        const Column column = column_of(*a.option);
        if (column != Column::none) {
            if (line_.has(column))
                return refuse("multiple '{}' options specified", name_of(column));
            line_.given.set(size_t(column));
        }
        if (column == Column::service) return service(*a.option, a.value);
        if (a.option->short_name == '6') return ipv6();
        if (column >= Column::tun_type && column < Column::none) return tunnel(column, a.value);
        if (column == Column::syncid || column == Column::sync_maxlen ||
            (column >= Column::mcast_group && column <= Column::mcast_ttl))
            return daemon(column, a.value);
        if (column >= Column::real_server && column <= Column::lower)
            return server(column, *a.option, a.value);
        return rule(column, a);
    }

    // What `--set` takes are words, not options.
    Checked timeouts(std::vector<std::string>& words) {
        if (line_.command != Command::set) return {};
        if (words.size() < 3) return refuse("--set option requires 3 timeout values");
        for (size_t i = 0; i < 3; ++i) {
            const auto seconds = parse_number(words[i], 0, kLongestTimeout);
            if (!seconds) return refuse("invalid timeout value `{}' specified", words[i]);
            line_.change.timeouts[i] = *seconds;
        }
        words.erase(words.begin(), words.begin() + 3);
        return {};
    }

    tl::expected<Line, Refusal> finish() {
        if (auto ok = flags(); !ok) return tl::unexpected(ok.error());
        if (auto refused = check_columns(line_.command, line_.given))
            return tl::unexpected(*refused);
        if (auto ok = together(); !ok) return tl::unexpected(ok.error());
        if (service_.mark != 0 || line_.has(Column::service)) line_.change.service = service_;
        line_.change.verb = verb_of(line_.command);
        return std::move(line_);
    }

private:
    Checked service(const Option& o, const std::string& text) {
        if (o.short_name == 'f') {
            const auto mark = parse_number(text, 1, UINT32_MAX);
            if (!mark) return refuse("invalid fwmark value `{}' specified", text);
            service_ = {Family::ipv4, Protocol::tcp, {}, *mark};
            return {};
        }
        service_.protocol = o.short_name == 't'   ? Protocol::tcp
                            : o.short_name == 'u' ? Protocol::udp
                                                  : Protocol::sctp;
        const auto at = parse_host_port(text, service_.protocol);
        if (!at) return refuse("illegal virtual server address[:port] specified");
        service_.endpoint = at->endpoint;
        service_.family = at->family;
        if (service_.family == Family::ipv6) line_.change.rule.netmask = 128;
        return {};
    }

    Checked ipv6() {
        if (service_.mark == 0) return refuse("-6 used before -f\n");
        service_.family = Family::ipv6;
        line_.change.rule.netmask = 128;
        return {};
    }

    Checked rule(Column column, const Argument& a) {
        api::ServiceRule& r = line_.change.rule;
        switch (column) {
            case Column::scheduler:
                r.scheduler = a.value.substr(0, 15);
                return {};
            case Column::engine:
                r.engine = a.value.substr(0, 15);
                return {};
            case Column::ops:
                r.one_packet = true;
                return {};
            case Column::sched_flags:
                flag_text_ = a.value.substr(0, kLongestFlags);
                return {};
            case Column::persistent: {
                const auto seconds = a.has_value ? parse_number(a.value, 1, kLongestTimeout)
                                                 : std::optional(kPersistence);
                if (!seconds) return refuse("invalid timeout value `{}' specified", a.value);
                r.persistence = *seconds;
                return {};
            }
            case Column::netmask:
                return netmask(a.value);
            default:
                return {};  // only how to list
        }
    }

    Checked netmask(const std::string& text) {
        if (service_.family == Family::ipv6) {
            const int length = leading_number(text);
            if (length < 1 || length > 128) return refuse("illegal ipv6 netmask specified");
            line_.change.rule.netmask = uint32_t(length);
            return {};
        }
        const auto mask = parse_mask(text);
        if (!mask) return refuse("illegal virtual server persistent mask specified");
        line_.change.rule.netmask = *mask;
        return {};
    }

    Checked server(Column column, const Option& o, const std::string& text) {
        api::ServerRule& r = line_.change.server_rule;
        const auto number = [&](uint32_t& to, long most, const char* what) -> Checked {
            const auto n = parse_number(text, 0, most);
            if (!n) return refuse("illegal {} specified", what);
            to = *n;
            return {};
        };
        switch (column) {
            case Column::real_server:
                return real_server(text);
            case Column::weight:
                return number(r.weight, 65535, "weight");
            case Column::upper:
                return number(r.upper, INT_MAX, "u_threshold");
            case Column::lower:
                return number(r.lower, INT_MAX, "l_threshold");
            default:
                r.forward = o.short_name == 'm' ? "nat" : o.short_name == 'i' ? "tunnel" : "dr";
                return {};
        }
    }

    // Without a port of its own it gets the service's, as far as that is known by now.
    Checked real_server(const std::string& text) {
        const bool known = line_.has(Column::service);
        const auto at = parse_host_port(text, known ? service_.protocol : Protocol::any);
        if (!at) return refuse("illegal real server address[:port] specified");
        line_.change.server = at->endpoint;
        server_family_ = at->family;
        line_.change.server_mapped = at->family != at->endpoint.address.family();
        if (!at->has_port) line_.change.server.port = service_.endpoint.port;
        return {};
    }

    Checked tunnel(Column column, const std::string& text) {
        api::TunnelRule& t = line_.change.server_rule.tunnel;
        switch (column) {
            case Column::tun_type:
                if (text != "ipip" && text != "gue" && text != "gre")
                    return refuse("illegal tunnel type specified");
                t.type = text;
                return {};
            case Column::tun_port: {
                const auto port = parse_number(text, 1, 65535);
                if (!port) return refuse("illegal tunnel port specified");
                t.port = uint16_t(*port);
                return {};
            }
            default:
                t.checksum = name_of(column).substr(4);  // after "tun-"
                return {};
        }
    }

    Checked daemon(Column column, const std::string& text) {
        if (column == Column::mcast_group) {
            const Group g = parse_group(text);
            if (!g.address)
                return refuse("invalid IPv{} mcast-group `{}'", g.family == Family::ipv4 ? 4 : 6,
                              text);
            return {};
        }
        const long least = column == Column::syncid ? 0 : 1;
        const long most = column == Column::mcast_port    ? 65535
                          : column == Column::sync_maxlen ? 65535 - 20 - 8
                                                          : 255;
        if (!parse_number(text, least, most))
            return refuse("illegal {} specified", name_of(column));
        return {};
    }

    Checked flags() {
        api::ServiceRule& r = line_.change.rule;
        const std::string scheduler = line_.has(Column::scheduler) ? r.scheduler : "";
        for (size_t from = 0; from < flag_text_.size();) {
            const size_t comma = std::min(flag_text_.find(',', from), flag_text_.size());
            const std::string name = flag_text_.substr(from, comma - from);
            from = comma + 1;
            if (name.empty()) continue;
            const api::FlagName* flag = api::find_flag(name);
            if (flag == nullptr) return refuse("invalid scheduler flag `{}'", name);
            if (!flag->scheduler.empty() && flag->scheduler != scheduler)
                return refuse("incompatible scheduler flag `{}'", name);
            r.flags |= flag->bit;
        }
        return {};
    }

    Checked together() {
        switch (line_.command) {
            case Command::add_service:
            case Command::edit_service:
                return whole_service();
            case Command::add_server:
            case Command::edit_server:
                return whole_server();
            case Command::list:
                return whole_list();
            default:
                return {};
        }
    }

    Checked whole_service() {
        api::ServiceRule& r = line_.change.rule;
        if (service_.mark == 0 && service_.endpoint.port == 0 && r.persistence == 0)
            return refuse("Zero port specified for non-persistent service");
        if (r.one_packet && service_.mark == 0 && service_.protocol != Protocol::udp)
            return refuse("One-Packet Scheduling is only for UDP virtual services");
        if (r.scheduler.empty()) r.scheduler = api::ServiceRule{}.scheduler;
        return {};
    }

    Checked whole_server() {
        api::ServerRule& r = line_.change.server_rule;
        // Only NAT changes ports; with a mark, ports are whatever they are.
        if (service_.mark == 0 && r.forward != "nat")
            line_.change.server.port = service_.endpoint.port;
        if (r.forward == "tunnel") {
            if (auto refused = check_tunnel(r.tunnel.type, line_.given))
                return tl::unexpected(*refused);
            return {};
        }
        if (server_family_ != service_.family)
            return refuse("Different address family is allowed only for tunneling servers");
        for (size_t c = size_t(Column::tun_type); c < kColumns; ++c)
            if (line_.given[c]) return refuse("Tunnel options conflict with forward method");
        return {};
    }

    Checked whole_list() {
        const bool table =
            line_.has(Column::stats) || line_.has(Column::rate) || line_.has(Column::thresholds);
        const bool timers = line_.has(Column::timeout) || line_.has(Column::daemon);
        if ((table && (timers || line_.has(Column::connection))) ||
            (timers && line_.has(Column::persistent_conn)))
            return refuse("options conflicts in the list command");
        return {};
    }

    static api::Verb verb_of(Command c) {
        switch (c) {
            case Command::add_service:
                return api::Verb::add_service;
            case Command::edit_service:
                return api::Verb::edit_service;
            case Command::delete_service:
                return api::Verb::delete_service;
            case Command::add_server:
                return api::Verb::add_server;
            case Command::edit_server:
                return api::Verb::edit_server;
            case Command::delete_server:
                return api::Verb::delete_server;
            case Command::zero:
                return api::Verb::zero;
            case Command::set:
                return api::Verb::set_timeouts;
            case Command::start_daemon:
                return api::Verb::start_daemon;
            case Command::stop_daemon:
                return api::Verb::stop_daemon;
            default:
                return api::Verb::clear;
        }
    }

    Line line_;
    api::ServiceName service_;
    Family server_family_ = Family::ipv4;
    std::string flag_text_;
};

}  // namespace

Refusal try_help(const std::string& argv0) {
    return {255, fmt::format("Try `{0} -h' or '{0} --help' for more information.", argv0)};
}

bool changes(Command c) {
    return c != Command::list && c != Command::save && c != Command::restore &&
           c != Command::help && c != Command::version;
}

tl::expected<Line, Refusal> read_line(std::span<const std::string> words,
                                      const std::string& argv0) {
    if (words.empty()) return Line{};
    const Arguments read = read_arguments(words, ipvsadm_options());
    std::vector<std::string> rest;
    std::optional<Reader> reader;
    for (const Argument& a : read.all) {
        if (a.option == nullptr) {
            rest.push_back(a.value);
        } else if (!reader) {
            const auto command = command_of(*a.option);
            if (!command) return tl::unexpected(try_help(argv0));
            if (*command == Command::help || *command == Command::version)
                return Line{*command, {}, {}};
            reader.emplace(*command);
            if (auto ok = reader->command(a); !ok) return tl::unexpected(ok.error());
        } else if (auto ok = reader->option(a); !ok) {
            return tl::unexpected(ok.error());
        }
    }
    if (!reader) return tl::unexpected(try_help(argv0));
    if (read.error) return tl::unexpected(Refusal{255, read.error->message, false});
    if (auto ok = reader->timeouts(rest); !ok) return tl::unexpected(ok.error());
    if (!rest.empty()) return tl::unexpected(Refusal{2, "unexpected argument " + rest.front()});
    return reader->finish();
}

}  // namespace torii::cli
