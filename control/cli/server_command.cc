#include "control/cli/server_command.h"

#include "control/cli/invocation.h"
#include "control/cli/say.h"
#include "control/manual.h"

namespace torii::cli {
namespace {

using control::Manual;
using control::ManualState;

std::string describe(const Manual& manual) {
    std::string out;
    for (const auto& [key, state] : manual)
        out += fmt::format("{:<6} {}{}\n", to_string(state), key.server,
                           key.service.empty() ? "" : " in " + key.service);
    return out;
}

/// GET, or POST with a body; prints what is held afterwards.
int ask_and_show(const Invocation& in, std::string_view method, std::string body) {
    const auto place = place_of(in);
    if (!place) return 1;
    const auto answer =
        api::ask(place->socket, method, "/v1/servers", std::chrono::seconds(10), std::move(body));
    if (!answer) return complain(not_served(*place, answer.error()));
    if (answer->status != 200) return complain(api::error_message(answer->body));
    if (in.json || method != "GET") return say("{}", in.json ? answer->body : ""), 0;
    const auto manual = control::manual_from_json(answer->body);
    if (!manual) return complain(manual.error().message);
    say("{}", describe(*manual));
    return 0;
}

int say(const Invocation& in, ManualState state) {
    if (in.words.empty())
        return complain(
            fmt::format("server {}: which server? (see torii --help)", to_string(state)));
    std::string list = to_json(Manual{{{in.words[0], in.service}, state}});
    list = list.substr(1, list.rfind(']') - 1);  // the one entry
    return ask_and_show(in, "POST", std::move(list));
}

}  // namespace

int server_down(const Invocation& in) { return say(in, ManualState::down); }
int server_drain(const Invocation& in) { return say(in, ManualState::drain); }
int server_up(const Invocation& in) { return say(in, ManualState::up); }
int server_list(const Invocation& in) { return ask_and_show(in, "GET", {}); }

}  // namespace torii::cli
