#include "control/cli/ipvsadm_options.h"

#include <fmt/format.h>

#include <algorithm>

namespace torii::cli {
namespace {

constexpr std::array<std::string_view, kColumns> kNames = {
    "numeric",
    "connection",
    "service-address",
    "scheduler",
    "persistent",
    "netmask",
    "real-server",
    "forwarding-method",
    "weight",
    "u-threshold",
    "l-threshold",
    "mcast-interface",
    "timeout",
    "daemon",
    "stats",
    "rate",
    "thresholds",
    "persistent-conn",
    "nosort",
    "syncid",
    "exact",
    "ops",
    "pe",
    "sched-flags",
    "mcast-group",
    "mcast-port",
    "mcast-ttl",
    "sync-maxlen",
    "tun-info",
    "tun-type",
    "tun-port",
    "tun-nocsum",
    "tun-csum",
    "tun-remcsum",
};

// A row a command: + needed, x illegal, 1 one of these only, blank as you like.
struct Row {
    std::string_view name, columns;
};
constexpr Row kRows[] = {
    {"add-service", "xx+   xxxxxxxxxxxxxxx   xxxxxxxxxx"},
    {"edit-service", "xx+   xxxxxxxxxxxxxxx   xxxxxxxxxx"},
    {"delete-service", "xx+xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx"},
    {"flush", "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx"},
    {"list", " 11xxxxxxxxx11       xxxxxxx xxxxx"},
    {"add-server", "xx+xxx+    xxxxxxxxxxxxxxxxxx     "},
    {"delete-server", "xx+xxx+xxxxxxxxxxxxxxxxxxxxxxxxxxx"},
    {"edit-server", "xx+xxx+    xxxxxxxxxxxxxxxxxx     "},
    {"set", "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx"},
    {"start-daemon", "xxxxxxxxxxx xxxxxxx xxxx    xxxxxx"},
    {"stop-daemon", "xxxxxxxxxxxxxxxxxxx xxxxxxxxxxxxxx"},
    {"restore", "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx"},
    {"save", " xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx"},
    {"zero", "xx xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx"},
};
static_assert(std::ranges::all_of(kRows,
                                  [](const Row& r) { return r.columns.size() == kColumns; }));

// Columns tun-type to tun-remcsum of each kind of tunnel.
constexpr Column kFirstTunnel = Column::tun_type;
constexpr Row kTunnels[] = {{"ipip", " xxxx"}, {"gue", " +111"}, {"gre", " x11x"}};

struct Entry {
    Option option;
    Column column = Column::none;
    std::optional<Command> command = std::nullopt;
};
using enum Takes;
constexpr Entry kEntries[] = {
    {{'A', "add-service"}, Column::none, Command::add_service},
    {{'E', "edit-service"}, Column::none, Command::edit_service},
    {{'D', "delete-service"}, Column::none, Command::delete_service},
    {{'C', "clear"}, Column::none, Command::flush},
    {{'L', "list"}, Column::none, Command::list},
    {{'l', "list"}, Column::none, Command::list},
    {{'Z', "zero"}, Column::none, Command::zero},
    {{'a', "add-server"}, Column::none, Command::add_server},
    {{'e', "edit-server"}, Column::none, Command::edit_server},
    {{'d', "delete-server"}, Column::none, Command::delete_server},
    {{0, "set"}, Column::none, Command::set},
    {{0, "start-daemon", value}, Column::none, Command::start_daemon},
    {{0, "stop-daemon", value}, Column::none, Command::stop_daemon},
    {{'R', "restore"}, Column::none, Command::restore},
    {{'S', "save"}, Column::none, Command::save},
    {{'h', "help"}, Column::none, Command::help},
    {{'v', "version"}, Column::none, Command::version},
    {{'t', "tcp-service", value}, Column::service},
    {{'u', "udp-service", value}, Column::service},
    {{0, "sctp-service", value}, Column::service},
    {{'f', "fwmark-service", value}, Column::service},
    {{'6', "ipv6"}},
    {{'s', "scheduler", value}, Column::scheduler},
    {{'p', "persistent", optional_value}, Column::persistent},
    {{'M', "netmask", value}, Column::netmask},
    {{'r', "real-server", value}, Column::real_server},
    {{'m', "masquerading"}, Column::forward},
    {{'i', "ipip"}, Column::forward},
    {{'g', "gatewaying"}, Column::forward},
    {{'w', "weight", value}, Column::weight},
    {{'x', "u-threshold", value}, Column::upper},
    {{'y', "l-threshold", value}, Column::lower},
    {{'n', "numeric"}, Column::numeric},
    {{'c', "connection"}, Column::connection},
    {{0, "mcast-interface", value}, Column::mcast_interface},
    {{0, "mcast-group", value}, Column::mcast_group},
    {{0, "mcast-port", value}, Column::mcast_port},
    {{0, "mcast-ttl", value}, Column::mcast_ttl},
    {{0, "sync-maxlen", value}, Column::sync_maxlen},
    {{0, "syncid", value}, Column::syncid},
    {{0, "timeout"}, Column::timeout},
    {{0, "daemon"}, Column::daemon},
    {{0, "stats"}, Column::stats},
    {{0, "rate"}, Column::rate},
    {{0, "thresholds"}, Column::thresholds},
    {{0, "persistent-conn"}, Column::persistent_conn},
    {{0, "tun-info"}, Column::tun_info},
    {{0, "nosort"}, Column::nosort},
    {{0, "sort"}},
    {{'X', "exact"}, Column::exact},
    {{'o', "ops"}, Column::ops},
    {{0, "pe", value}, Column::engine},
    {{'b', "sched-flags", value}, Column::sched_flags},
    {{0, "tun-type", value}, Column::tun_type},
    {{0, "tun-port", value}, Column::tun_port},
    {{0, "tun-nocsum"}, Column::tun_nocsum},
    {{0, "tun-csum"}, Column::tun_csum},
    {{0, "tun-remcsum"}, Column::tun_remcsum},
};

constexpr auto kOptions = [] {
    std::array<Option, std::size(kEntries)> all{};
    for (size_t i = 0; i < all.size(); ++i) all[i] = kEntries[i].option;
    return all;
}();

const Entry& entry_of(const Option& o) { return kEntries[&o - kOptions.data()]; }

std::optional<Refusal> check(const Row& row, Column first_column, std::string_view what,
                             const Given& given) {
    std::string_view first;
    for (size_t i = 0; i < row.columns.size(); ++i) {
        const Column column = Column(size_t(first_column) + i);
        const std::string_view name = name_of(column);
        const char rule = row.columns[i];
        if (!given[size_t(column)]) {
            if (rule == '+')
                return Refusal{2, fmt::format("You need to supply the '{}' option for the '{}' {}",
                                              name, row.name, what)};
            continue;
        }
        if (rule == 'x')
            return Refusal{
                2, fmt::format("Illegal '{}' option with the '{}' {}", name, row.name, what)};
        if (rule != '1') continue;
        if (!first.empty())
            return Refusal{2, fmt::format("The option '{}' conflicts with the '{}' option in the "
                                          "'{}' {}",
                                          name, first, row.name, what)};
        first = name;
    }
    return std::nullopt;
}

}  // namespace

std::span<const Option> ipvsadm_options() { return kOptions; }
std::optional<Command> command_of(const Option& o) { return entry_of(o).command; }
Column column_of(const Option& o) { return entry_of(o).column; }
std::string_view name_of(Column c) { return kNames[size_t(c)]; }

std::optional<Refusal> check_columns(Command c, const Given& given) {
    if (size_t(c) >= std::size(kRows)) return std::nullopt;
    return check(kRows[size_t(c)], Column::numeric, "command", given);
}

std::optional<Refusal> check_tunnel(std::string_view type, const Given& given) {
    const auto* row = std::ranges::find(kTunnels, type, &Row::name);
    return check(*row, kFirstTunnel, "tunnel type", given);
}

}  // namespace torii::cli
