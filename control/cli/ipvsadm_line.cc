// What an ipvsadm command line means. Checks come in ipvsadm's order, so that the first complaint
// is the same.
#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <optional>

#include "control/cli/arguments.h"
#include "control/cli/ipvsadm.h"

namespace torii::cli {
namespace {

// The columns of ipvsadm's table of what goes with what, in its order: complaints follow it.
struct Column {
    std::string_view name;
    char list;  // ' ' allowed, 'x' illegal, '1' one of these only
};
constexpr std::array kColumns = {
    Column{"numeric", ' '},
    Column{"connection", '1'},
    Column{"service-address", '1'},
    Column{"scheduler", 'x'},
    Column{"persistent", 'x'},
    Column{"netmask", 'x'},
    Column{"real-server", 'x'},
    Column{"forwarding-method", 'x'},
    Column{"weight", 'x'},
    Column{"u-threshold", 'x'},
    Column{"l-threshold", 'x'},
    Column{"mcast-interface", 'x'},
    Column{"timeout", '1'},
    Column{"daemon", '1'},
    Column{"stats", ' '},
    Column{"rate", ' '},
    Column{"thresholds", ' '},
    Column{"persistent-conn", ' '},
    Column{"nosort", ' '},
    Column{"syncid", ' '},
    Column{"exact", ' '},
    Column{"ops", 'x'},
    Column{"pe", 'x'},
    Column{"sched-flags", 'x'},
    Column{"mcast-group", 'x'},
    Column{"mcast-port", 'x'},
    Column{"mcast-ttl", 'x'},
    Column{"sync-maxlen", 'x'},
    Column{"tun-info", ' '},
    Column{"tun-type", 'x'},
    Column{"tun-port", 'x'},
    Column{"tun-nocsum", 'x'},
    Column{"tun-csum", 'x'},
    Column{"tun-remcsum", 'x'},
};

constexpr Option kOptions[] = {
    // commands
    {'A', "add-service"},
    {'E', "edit-service"},
    {'D', "delete-service"},
    {'C', "clear"},
    {'R', "restore"},
    {'S', "save"},
    {'a', "add-server"},
    {'e', "edit-server"},
    {'d', "delete-server"},
    {'L', "list"},
    {'l', ""},
    {'Z', "zero"},
    {0, "set"},
    {0, "start-daemon", Takes::value},
    {0, "stop-daemon", Takes::value},
    {'h', "help"},
    {'v', "version"},
    // options
    {'n', "numeric"},
    {'c', "connection"},
    {'t', "tcp-service", Takes::value},
    {'u', "udp-service", Takes::value},
    {0, "sctp-service", Takes::value},
    {'f', "fwmark-service", Takes::value},
    {'s', "scheduler", Takes::value},
    {'p', "persistent", Takes::optional_value},
    {'M', "netmask", Takes::value},
    {'r', "real-server", Takes::value},
    {'g', "gatewaying"},
    {'i', "ipip"},
    {'m', "masquerading"},
    {'w', "weight", Takes::value},
    {'x', "u-threshold", Takes::value},
    {'y', "l-threshold", Takes::value},
    {0, "mcast-interface", Takes::value},
    {0, "timeout"},
    {0, "daemon"},
    {0, "stats"},
    {0, "rate"},
    {0, "thresholds"},
    {0, "persistent-conn"},
    {0, "nosort"},
    {0, "sort"},
    {0, "syncid", Takes::value},
    {'X', "exact"},
    {'6', "ipv6"},
    {'o', "ops"},
    {0, "pe", Takes::value},
    {'b', "sched-flags", Takes::value},
    {0, "mcast-group", Takes::value},
    {0, "mcast-port", Takes::value},
    {0, "mcast-ttl", Takes::value},
    {0, "sync-maxlen", Takes::value},
    {0, "tun-info"},
    {0, "tun-type", Takes::value},
    {0, "tun-port", Takes::value},
    {0, "tun-nocsum"},
    {0, "tun-csum"},
    {0, "tun-remcsum"},
};
constexpr size_t kCommands = 17;
static_assert(kOptions[kCommands - 1].long_name == "version");

bool is_command(const Option* o) { return o - kOptions < std::ptrdiff_t(kCommands); }

bool starts_with_command(const std::string& word) {
    if (word.size() < 2 || word[0] != '-') return false;
    const std::span<const Option> commands(kOptions, kCommands);
    if (word[1] != '-')
        return std::ranges::find(commands, word[1], &Option::short_name) != commands.end();
    const std::string name = word.substr(2, word.find('=') - 2);
    return !name.empty() && std::ranges::find(commands, name, &Option::long_name) != commands.end();
}

// Several options are one column: all kinds of services, all forwarding methods.
std::string_view column_of(std::string_view option) {
    if (option.ends_with("-service")) return "service-address";
    if (option == "gatewaying" || option == "ipip" || option == "masquerading")
        return "forwarding-method";
    return option;
}

Protocol protocol_of(std::string_view option) {
    if (option == "udp-service") return Protocol::udp;
    if (option == "sctp-service") return Protocol::sctp;
    return Protocol::tcp;
}

Refusal try_help(const std::string& argv0) {
    return {255, fmt::format("Try `{0} -h' or '{0} --help' for more information.", argv0)};
}

using Given = std::array<bool, kColumns.size()>;

std::optional<Refusal> check_columns(const Given& given) {
    std::string_view first;
    for (size_t i = 0; i < kColumns.size(); ++i) {
        if (!given[i]) continue;
        if (kColumns[i].list == 'x')
            return Refusal{
                2, fmt::format("Illegal '{}' option with the 'list' command", kColumns[i].name)};
        if (kColumns[i].list != '1') continue;
        if (!first.empty())
            return Refusal{2, fmt::format("The option '{}' conflicts with the '{}' option in the "
                                          "'list' command",
                                          kColumns[i].name, first)};
        first = kColumns[i].name;
    }
    return std::nullopt;
}

bool conflicting(const ListRequest& l) {
    const bool table = l.stats || l.rate || l.thresholds;
    if ((l.connections || l.timeouts || l.daemons) && table) return true;
    return (l.timeouts || l.daemons) && l.persistent;
}

void set(ListRequest& l, const Argument& a) {
    const std::string_view name = a.option->long_name;
    const auto is = [&](std::string_view x, bool& to, bool value = true) {
        if (name == x) to = value;
    };
    is("numeric", l.numeric);
    is("connection", l.connections);
    is("exact", l.exact);
    is("nosort", l.sorted, false);
    is("timeout", l.timeouts);
    is("daemon", l.daemons);
    is("stats", l.stats);
    is("rate", l.rate);
    is("thresholds", l.thresholds);
    is("persistent-conn", l.persistent);
    is("tun-info", l.tunnels);
    if (column_of(name) != "service-address") return;
    l.one_service = true;
    l.fwmark = name == "fwmark-service";
    l.protocol = protocol_of(name);
    l.service = a.value;
}

tl::expected<ListRequest, Refusal> read_list(std::span<const Argument> rest) {
    ListRequest list;
    Given given{};
    for (const Argument& a : rest) {
        if (a.option == nullptr)
            return tl::unexpected(Refusal{2, "unexpected argument " + a.value});
        if (is_command(a.option))
            return tl::unexpected(Refusal{2, fmt::format("invalid option `{}'", a.spelled)});
        const auto column =
            std::ranges::find(kColumns, column_of(a.option->long_name), &Column::name);
        if (column != kColumns.end()) {
            bool& seen = given[size_t(column - kColumns.begin())];
            if (seen)
                return tl::unexpected(
                    Refusal{2, fmt::format("multiple '{}' options specified", column->name)});
            seen = true;
        }
        set(list, a);
    }
    if (auto refused = check_columns(given)) return tl::unexpected(*refused);
    if (conflicting(list))
        return tl::unexpected(Refusal{2, "options conflicts in the list command"});
    return list;
}

}  // namespace

tl::expected<Line, Refusal> read_line(std::span<const std::string> words,
                                      const std::string& argv0) {
    if (words.empty()) return Line{};
    if (!starts_with_command(words.front())) return tl::unexpected(try_help(argv0));
    const auto parsed = parse_arguments(words, kOptions);
    if (!parsed) return tl::unexpected(Refusal{255, parsed.error().message});
    const Option& command = *parsed->front().option;
    if (command.long_name == "help") return Line{Asked::help, {}};
    if (command.long_name == "version") return Line{Asked::version, {}};
    if (command.long_name != "list" && command.short_name != 'l')
        return tl::unexpected(
            Refusal{2, fmt::format("{} is not part of this version of torii: change the "
                                   "configuration and run 'torii reload'",
                                   parsed->front().spelled)});
    auto list = read_list(std::span(*parsed).subspan(1));
    if (!list) return tl::unexpected(list.error());
    return Line{Asked::list, std::move(*list)};
}

}  // namespace torii::cli
