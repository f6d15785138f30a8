#include "control/cli/torii.h"

#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <cstring>
#include <optional>
#include <thread>
#include <vector>

#include "config/base/units.h"
#include "config/load/load.h"
#include "control/api/client.h"
#include "control/api/model.h"
#include "control/api/vrrp.h"
#include "control/cli/arguments.h"
#include "control/cli/completion.h"
#include "control/cli/config_commands.h"
#include "control/cli/health_command.h"
#include "control/cli/invocation.h"
#include "control/cli/say.h"
#include "control/cli/server_command.h"
#include "control/cli/status_format.h"
#include "control/cli/vrrp_format.h"
#include "control/metrics/metrics.h"
#include "dataplane/shm/control_block.h"
#include "dataplane/stages/verdict.h"
#include "dataplane/xdp/steering.h"

namespace torii::cli {
namespace {

int metrics_reference(const Invocation&) {
    say("{}", metrics::reference());
    return 0;
}

int verdicts_reference(const Invocation&) {
    say("| verdict | meaning |\n|---|---|\n");
    for (const stages::VerdictInfo& v : stages::kVerdicts)
        if (v.outcome != stages::Outcome::none) say("| `{}` | {} |\n", v.name, v.help);
    return 0;
}

int status(const Invocation& in) {
    const auto place = place_of(in);
    if (!place) return 1;
    if (in.json) {
        const auto answer = api::ask(place->socket, "GET", "/v1/status");
        if (!answer) return complain(not_served(*place, answer.error()));
        if (answer->status != 200) return complain(api::error_message(answer->body));
        say("{}", answer->body);
        return 0;
    }
    const auto now = get<api::Status>(*place, "/v1/status");
    if (!now) return complain(now.error().message);
    const auto ready = get<api::Ready>(*place, "/v1/ready");
    if (!ready) return complain(ready.error().message);
    const auto vrrp = get<api::Vrrp>(*place, "/v1/vrrp");
    if (!vrrp) return complain(vrrp.error().message);
    const auto checks = get<api::Health>(*place, "/v1/health");
    if (!checks) return complain(checks.error().message);
    say("{}{}{}", describe(*now, *ready), summary(*checks), summary(*vrrp));
    return 0;
}

int vrrp(const Invocation& in) {
    const auto place = place_of(in);
    if (!place) return 1;
    const auto now = get<api::Vrrp>(*place, "/v1/vrrp");
    if (!now) return complain(now.error().message);
    say("{}", in.json ? api::to_json(*now) : describe(*now));
    return 0;
}

// Prints what happens as it happens, until it is interrupted.
int events(const Invocation& in) {
    const auto place = place_of(in);
    if (!place) return 1;
    const auto print = [](std::string_view line) {
        if (!line.empty()) say("{}\n", line);
        std::fflush(stdout);
        return true;
    };
    const auto answer = api::ask_lines(place->socket, "/v1/events", print);
    if (!answer) return complain(not_served(*place, answer.error()));
    if (answer->status != 200) return complain(api::error_message(answer->body));
    return 0;
}

int wait(const Invocation& in) {
    const auto place = place_of(in);
    if (!place) return 1;
    const auto deadline = std::chrono::steady_clock::now() + in.timeout;
    for (;;) {
        const auto ready = get<api::Ready>(*place, "/v1/ready");
        if (ready && ready->ready) {
            for (const std::string& w : ready->warnings) complain("warning: " + w);
            return 0;
        }
        if (std::chrono::steady_clock::now() >= deadline) {
            if (!ready) return complain(ready.error().message);
            for (const std::string& m : ready->missing) complain(m);
            for (const std::string& w : ready->warnings) complain("warning: " + w);
            return 1;
        }
        std::this_thread::sleep_for(std::chrono::milliseconds(50));
    }
}

int reload(const Invocation& in) {
    const auto place = place_of(in);
    if (!place) return 1;
    const auto done = get<api::ReloadOutcome>(*place, "/v1/reload", "POST");
    if (!done) return complain(done.error().message);
    return tell(*done);
}

// The interfaces that the instance's dataplane had last.
Result<std::vector<std::string>> steered_interfaces(const std::string& instance) {
    const shm::Location location = shm::Location::of_instance(instance);
    const std::string path = location.path("control");
    const auto m = shm::Mapping::open(path, shm::Mapping::Access::read_only);
    if (!m) return tl::unexpected(m.error());
    if (auto ok = shm::verify(*m, shm::Kind::control, shm::kControlLayout, path, false); !ok)
        return tl::unexpected(ok.error());
    const shm::ControlBlock& block = shm::control_of(*m);
    std::vector<std::string> names;
    for (uint32_t i = 0; i < std::min(block.port_count, shm::kMaxPorts); ++i) {
        const shm::PortInfo& p = block.ports[i];
        if (p.driver == uint32_t(config::Driver::af_xdp))
            names.emplace_back(p.interface, strnlen(p.interface, sizeof p.interface));
    }
    return names;
}

Result<std::vector<std::string>> interfaces_of(const Invocation& in, const Place& place) {
    if (in.file.empty()) return steered_interfaces(place.instance);
    const config::Loaded loaded = config::load_file(in.file);
    if (!loaded.config) return fail(Errc::invalid, config::format(loaded.diagnostics));
    std::vector<std::string> names;
    for (const config::Port& p : loaded.config->dataplane.ports)
        if (p.driver == config::Driver::af_xdp) names.push_back(p.interface);
    return names;
}

int detach(const Invocation& in) {
    const auto place = place_of(in);
    if (!place) return 1;
    if (!in.force && shm::Lock::held(shm::Location::of_instance(place->instance), "dataplane"))
        return complain(
            fmt::format("torii-dataplane of instance {} is running: stop it first, or "
                        "say --force",
                        place->instance));
    const auto names = interfaces_of(in, *place);
    if (!names)
        return complain(names.error().code == Errc::not_found
                            ? fmt::format("instance {} has no ports that anybody knows of: name "
                                          "its file with -c",
                                          place->instance)
                            : names.error().message);
    int failed = 0;
    for (const std::string& name : *names) {
        const auto ok = xdp::release(name);
        if (ok)
            say("{}: its packets go to the kernel\n", name);
        else if (ok.error().code != Errc::not_found)  // an interface that is gone needs nothing
            failed = complain(fmt::format("{}: {}", name, ok.error().message));
    }
    return failed;
}

struct Command {
    std::string_view words, arguments, help;
    int (*run)(const Invocation&);
    size_t most_words = 0;
};

int completion_bash(const Invocation&);

constexpr Command kCommands[] = {
    {"status", "[--json]", "what runs, what is in force, what became of the packets", status},
    {"vrrp", "[--json]", "who is active, why, and what was heard", vrrp},
    {"events", "", "transitions as they happen, one JSON object a line", events},
    {"health", "[down] [--json]", "every check and what it found; down: only what needs a look",
     health, 1},
    {"server down", "NAME [--service S]", "take a server away by hand, kept until it is up again",
     server_down, 1},
    {"server drain", "NAME [--service S]", "no new connections for it", server_drain, 1},
    {"server up", "NAME [--service S]", "what is said by hand ends; its checks decide", server_up,
     1},
    {"server list", "[--json]", "who is held by hand", server_list},
    {"wait", "[--timeout TIME]", "wait until traffic is forwarded as configured", wait},
    {"reload", "", "read the configuration again; a mistake changes nothing", reload},
    {"detach", "[--force]", "give the packets of a stopped dataplane's ports to the kernel",
     detach},
    {"config check", "[FILE]", "every mistake in a file, as file:line:column: sentence",
     config_check, 1},
    {"config show", "[KEY]", "the configuration in force, or of the file of -c, with every default",
     config_show, 1},
    {"config diff", "", "how running differs from the file: what ipvsadm changed beside it",
     config_diff},
    {"config apply", "FILE", "put a file into force and in the place of toriid's own", config_apply,
     1},
    {"config schema", "", "JSON schema of the file, for editors", config_schema},
    {"config reference", "", "every key of the configuration (Markdown)", config_reference},
    {"completion bash", "", "completion for bash: source it", completion_bash},
    {"metrics reference", "", "every metric (Markdown)", metrics_reference},
    {"verdicts reference", "", "every verdict a packet can get (Markdown)", verdicts_reference},
};

constexpr Option kOptions[] = {
    {'i', "instance", Takes::value, "NAME", "instance; otherwise $TORII_INSTANCE, else 'default'"},
    {'c', "config", Takes::value, "FILE", "take instance and API socket from this file"},
    {0, "json", Takes::nothing, "", "status, health, server list, vrrp: as JSON"},
    {0, "service", Takes::value, "NAME", "server: in this service only, by its name or virtual"},
    {0, "timeout", Takes::value, "TIME", "wait: at most so long (500ms, 10s; default 30s)"},
    {0, "force", Takes::nothing, "", "detach: although the dataplane runs"},
    {'h', "help", Takes::nothing, "", "this text"},
    {'v', "version", Takes::nothing, "", "print the version"},
};

int completion_bash(const Invocation&) {
    std::vector<std::string> commands;
    for (const Command& c : kCommands) commands.emplace_back(c.words);
    say("{}", bash_completion(commands, kOptions));
    return 0;
}

std::string help() {
    std::string out = "Usage: torii [OPTION]... COMMAND\n\nCommands:\n";
    for (const Command& c : kCommands)
        out += fmt::format(
            "  {:<31} {}\n",
            c.arguments.empty() ? std::string(c.words) : fmt::format("{} {}", c.words, c.arguments),
            c.help);
    return out + "\nOptions:\n" + describe(kOptions) +
           "\nThe API socket is $TORII_API_SOCKET, else that of the file, else\n"
           "/run/torii/INSTANCE/api.sock. Called as ipvsadm, it is ipvsadm.\n"
           "Exit status: 0 done, 1 anything wrong; config diff: 0 alike, 1 different, 2 anything "
           "wrong.\n";
}

// The command whose words the line begins with; its arguments are left in `words`.
const Command* take_command(std::vector<std::string>& words) {
    for (const Command& c : kCommands) {
        const size_t space = c.words.find(' ');
        const size_t count = space == c.words.npos ? 1 : 2;
        if (words.size() < count || words[0] != c.words.substr(0, space)) continue;
        if (count == 2 && words[1] != c.words.substr(space + 1)) continue;
        words.erase(words.begin(), words.begin() + std::ptrdiff_t(count));
        return &c;
    }
    return nullptr;
}

}  // namespace

int torii_main(std::span<const std::string> words) {
    const auto parsed = parse_arguments(words, kOptions);
    if (!parsed) return complain(parsed.error().message + " (see torii --help)");
    Invocation in;
    for (const Argument& a : *parsed) {
        if (a.option == nullptr) {
            in.words.push_back(a.value);
            continue;
        }
        const std::string_view name = a.option->long_name;
        if (name == "help") return say("{}", help()), 0;
        if (name == "version") return say("torii {}\n", TORII_VERSION), 0;
        if (name == "instance") in.instance = a.value;
        if (name == "config") in.file = a.value;
        if (name == "service") in.service = a.value;
        if (name == "json") in.json = true;
        if (name == "force") in.force = true;
        if (name != "timeout") continue;
        const auto time = parse_duration(a.value);
        if (!time) return complain("--timeout: " + time.error().message);
        in.timeout = *time;
    }
    if (in.words.empty()) return say(stderr, "{}", help()), 1;
    const std::string said = fmt::format("{}", fmt::join(in.words, " "));
    const Command* command = take_command(in.words);
    if (command == nullptr)
        return complain(fmt::format("there is no command '{}' (see torii --help)", said));
    if (in.words.size() > command->most_words)
        return complain(fmt::format("{}: unexpected argument '{}' (see torii --help)",
                                    command->words, in.words[command->most_words]));
    return command->run(in);
}

}  // namespace torii::cli
