#pragma once
// ipvsadm's options, its commands, and its table of what goes with what.

#include <array>
#include <bitset>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>

#include "control/cli/arguments.h"

namespace torii::cli {

/// A refusal: what goes to standard error, and the exit status.
struct Refusal {
    int status = 2;
    std::string message;
    bool last = true;  ///< false: a restore goes on with the next line
};

/// Commands, in the order of ipvsadm's table; `help` and `version` have no row in it.
enum class Command : uint8_t {
    add_service,
    edit_service,
    delete_service,
    flush,
    list,
    add_server,
    delete_server,
    edit_server,
    set,
    start_daemon,
    stop_daemon,
    restore,
    save,
    zero,
    help,
    version,
};

/// Options as columns of the table: several ways to name a service are one column.
enum class Column : uint8_t {
    numeric,
    connection,
    service,
    scheduler,
    persistent,
    netmask,
    real_server,
    forward,
    weight,
    upper,
    lower,
    mcast_interface,
    timeout,
    daemon,
    stats,
    rate,
    thresholds,
    persistent_conn,
    nosort,
    syncid,
    exact,
    ops,
    engine,
    sched_flags,
    mcast_group,
    mcast_port,
    mcast_ttl,
    sync_maxlen,
    tun_info,
    tun_type,
    tun_port,
    tun_nocsum,
    tun_csum,
    tun_remcsum,
    none,  ///< in no column: -6, --sort
};
inline constexpr size_t kColumns = size_t(Column::none);

/// Which columns a line has.
using Given = std::bitset<kColumns>;

/// Every option with its letter and long name, the commands among them.
std::span<const Option> ipvsadm_options();
/// The command an option of ipvsadm_options() is, if it is one.
std::optional<Command> command_of(const Option&);
Column column_of(const Option&);
std::string_view name_of(Column);  ///< as the messages spell it

/// The first column that does not go with the command, in the table's order.
std::optional<Refusal> check_columns(Command, const Given&);
/// The same for the options of a tunnel; `type` is ipip, gue or gre.
std::optional<Refusal> check_tunnel(std::string_view type, const Given&);

}  // namespace torii::cli
