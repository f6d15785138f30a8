// What ipvsadm makes of the kernel's errors: first by what was asked, then by the error alone.
#include <algorithm>
#include <cerrno>
#include <cstring>

#include "control/cli/ipvsadm.h"

namespace torii::cli {
namespace {

struct ByVerb {
    std::string_view verb, code, message;
};
constexpr ByVerb kByVerb[] = {
    {"add_service", "EEXIST", "Service already exists"},
    {"add_service", "ENOENT", "Scheduler or persistence engine not found"},
    {"edit_service", "ESRCH", "No such service"},
    {"edit_service", "ENOENT", "Scheduler or persistence engine not found"},
    {"delete_service", "ESRCH", "No such service"},
    {"zero", "ESRCH", "No such service"},
    {"add_server", "ESRCH", "Service not defined"},
    {"add_server", "EEXIST", "Destination already exists"},
    {"edit_server", "ESRCH", "Service not defined"},
    {"edit_server", "ENOENT", "No such destination"},
    {"delete_server", "ESRCH", "Service not defined"},
    {"delete_server", "ENOENT", "No such destination"},
    {"start_daemon", "EEXIST", "Daemon has already run"},
    {"stop_daemon", "ESRCH", "No daemon is running"},
};

struct ByCode {
    std::string_view code;
    int number;
    std::string_view message = {};  // empty: the C library's
};
constexpr ByCode kByCode[] = {
    {"EINVAL", EINVAL,
     "Invalid operation.  Possibly wrong module version, address not unicast, ..."},
    {"EPERM", EPERM, "Permission denied (you must be root)"},
    {"ENOMEM", ENOMEM, "Memory allocation problem"},
    {"EOPNOTSUPP", EOPNOTSUPP, "Operation not supported with IPv6"},
    {"EAFNOSUPPORT", EAFNOSUPPORT, "Operation not supported with specified address family"},
    {"ERANGE", ERANGE},
    {"ENODEV", ENODEV},
    {"ENOSPC", ENOSPC},
    {"EEXIST", EEXIST},
    {"ENOENT", ENOENT},
    {"ESRCH", ESRCH},
};

}  // namespace

std::string refusal_of(std::string_view verb, std::string_view code) {
    for (const ByVerb& row : kByVerb)
        if (row.verb == verb && row.code == code) return std::string(row.message);
    const auto* row = std::ranges::find(kByCode, code, &ByCode::code);
    if (row == std::end(kByCode)) return std::string(code);
    return row->message.empty() ? std::strerror(row->number) : std::string(row->message);
}

}  // namespace torii::cli
