// toriid: the control process.

#include <fmt/format.h>

#include <csignal>
#include <cstdlib>

#include "config/model/config.h"
#include "control/cli/arguments.h"
#include "control/daemon.h"
#include "control/kernel/mirror.h"
#include "control/log.h"

namespace {

using torii::cli::Option;
using torii::cli::Takes;

constexpr Option kOptions[] = {
    {'c', "config", Takes::value, "FILE", "the configuration (default /etc/torii/torii.yaml)"},
    {'i', "instance", Takes::value, "NAME",
     "instance; otherwise $TORII_INSTANCE, otherwise the key 'instance'"},
    {0, "check", Takes::nothing, "", "check the configuration on this machine and exit"},
    {0, "log-level", Takes::value, "LEVEL", "trace, debug, info (default), warning, error, off"},
    {'h', "help", Takes::nothing, "", "this text"},
    {'v', "version", Takes::nothing, "", "print the version"},
};

std::string help() {
    return "Usage: toriid [OPTION]...\n\n"
           "Reads the configuration, publishes its tables to torii-dataplane, follows the "
           "kernel's\n"
           "routes and neighbours, and serves the API. Runs in the foreground.\n\n" +
           torii::cli::describe(kOptions) +
           "\nSIGHUP reads the configuration again: a file with a mistake changes nothing.\n"
           "SIGTERM stops toriid; the dataplane goes on with the last tables.\n"
           "Exit status: 0 stopped by a signal, 1 anything wrong.\n";
}

int complain(const std::string& text) {
    fmt::print(stderr, "{}\n", text);
    return 1;
}

int check(const torii::control::DaemonOptions& o) {
    const auto mirror = torii::kernel::Mirror::open();
    if (!mirror) return complain("toriid: " + mirror.error().message);
    const torii::kernel::RouteIndex routes((*mirror)->snapshot());
    const auto checked = torii::control::load_checked(o.file, o.instance, routes);
    fmt::print(stderr, "{}", torii::config::format(checked.diagnostics));
    return checked.config ? 0 : 1;
}

}  // namespace

int main(int argc, char** argv) {
    const std::vector<std::string> words(argv + 1, argv + argc);
    const auto parsed = torii::cli::parse_arguments(words, kOptions);
    if (!parsed) return complain("toriid: " + parsed.error().message + " (see toriid --help)");
    torii::control::DaemonOptions options;
    options.file = "/etc/torii/torii.yaml";
    if (const char* named = std::getenv("TORII_INSTANCE")) options.instance = named;
    std::string level = "info";
    bool only_check = false;
    for (const auto& a : *parsed) {
        if (a.option == nullptr)
            return complain("toriid: unexpected argument " + a.value + " (see toriid --help)");
        const std::string_view name = a.option->long_name;
        if (name == "help") return fmt::print("{}", help()), 0;
        if (name == "version") return fmt::print("toriid {}\n", TORII_VERSION), 0;
        if (name == "config") options.file = a.value;
        if (name == "instance") options.instance = a.value;
        if (name == "log-level") level = a.value;
        if (name == "check") only_check = true;
    }
    if (!options.instance.empty() && !torii::config::is_instance_name(options.instance))
        return complain("toriid: '" + options.instance +
                        "' is no instance name: 1 to 32 of A-Z a-z 0-9 _ and -");
    if (auto ok = torii::control::start_log(level); !ok)
        return complain("toriid: " + ok.error().message);
    if (only_check) return check(options);
    std::signal(SIGPIPE, SIG_IGN);
    const auto daemon = torii::control::Daemon::start(options);
    if (!daemon) return complain(daemon.error().message);
    (*daemon)->run();
    return 0;
}
