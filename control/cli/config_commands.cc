#include "control/cli/config_commands.h"

#include <cstring>

#include "config/check/check.h"
#include "config/load/document.h"
#include "config/load/load.h"
#include "config/schema/schema.h"
#include "control/cli/invocation.h"
#include "control/cli/say.h"
#include "control/kernel/mirror.h"
#include "control/reload.h"

namespace torii::cli {
namespace {

std::string file_of(const Invocation& in) {
    return !in.words.empty() ? in.words[0] : in.file.empty() ? kDefaultFile : in.file;
}

// What toriid answers: its configuration as YAML.
Result<std::string> running(const Invocation& in) {
    const auto place = find_place(in.instance, in.file);
    if (!place) return tl::unexpected(place.error());
    const auto answer = api::ask(place->socket, "GET", "/v1/config");
    if (!answer)
        return fail(answer.error().code,
                    not_served(*place, answer.error()) + "; name a file with -c");
    if (answer->status != 200) return fail(Errc::io, api::error_message(answer->body));
    return answer->body;
}

}  // namespace

// Where the kernel's routes cannot be read, everything else is checked all the same.
int config_check(const Invocation& in) {
    const std::string file = file_of(in);
    std::vector<config::Diagnostic> found;
    if (const auto mirror = kernel::Mirror::open()) {
        const kernel::RouteIndex routes((*mirror)->snapshot());
        found = control::load_checked(file, in.instance, routes).diagnostics;
    } else {
        config::Loaded loaded = config::load_file(file);
        found = std::move(loaded.diagnostics);
        if (loaded.config) found = config::check_machine(*loaded.config, config::this_machine());
        complain("routes are not checked: " + mirror.error().message);
    }
    say(stderr, "{}", config::format(found));
    if (!found.empty()) return 1;
    say("{}: no mistakes\n", file);
    return 0;
}

int config_show(const Invocation& in) {
    const std::string key = in.words.empty() ? "" : in.words[0];
    config::Loaded loaded;
    if (!in.file.empty()) {
        loaded = config::load_file(in.file);
    } else {
        const auto text = running(in);
        if (!text) return complain(text.error().message);
        loaded = config::load_text(*text, "the configuration in force");
    }
    if (!loaded.config) {
        say(stderr, "{}", config::format(loaded.diagnostics));
        return 1;
    }
    const auto node = config::write_config(*loaded.config, key);
    if (!node) return complain(fmt::format("there is no '{}' in it", key));
    say("{}", config::emit_yaml(*node));
    return 0;
}

int config_apply(const Invocation& in) {
    if (in.words.empty()) return complain("config apply: which file? (see torii --help)");
    const auto place = place_of(in);
    if (!place) return 1;
    const auto text = config::read_file(in.words[0]);
    if (!text) return complain(fmt::format("{}: {}", in.words[0], std::strerror(text.error())));
    const auto answer =
        api::ask(place->socket, "PUT", "/v1/config", std::chrono::seconds(60), *text);
    if (!answer) return complain(not_served(*place, answer.error()));
    if (answer->status != 200) return complain(api::error_message(answer->body));
    const auto done = api::from_json<api::ReloadOutcome>(answer->body);
    if (!done) return complain(done.error().message);
    return tell(*done);
}

int config_diff(const Invocation& in) {
    const auto place = place_of(in);
    if (!place) return 2;
    const auto answer = api::ask(place->socket, "GET", "/v1/config/diff");
    if (!answer) return complain(not_served(*place, answer.error())), 2;
    if (answer->status != 200) return complain(api::error_message(answer->body)), 2;
    say("{}", answer->body);
    return answer->body.empty() ? 0 : 1;
}

int config_schema(const Invocation&) {
    say("{}", config::json_schema());
    return 0;
}

int config_reference(const Invocation&) {
    say("{}", config::reference_markdown());
    return 0;
}

}  // namespace torii::cli
