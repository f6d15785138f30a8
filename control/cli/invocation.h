#pragma once
// One call of the command: what its options said, and how its parts talk to toriid.

#include <fmt/format.h>

#include <chrono>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "control/api/client.h"
#include "control/api/model.h"
#include "control/cli/place.h"

namespace torii::cli {

inline constexpr const char* kDefaultFile = "/etc/torii/torii.yaml";

struct Invocation {
    std::string instance, file, service;
    bool json = false, force = false;
    std::chrono::microseconds timeout = std::chrono::seconds(30);
    std::vector<std::string> words;  ///< after the command's own
};

/// Says so on standard error; returns the exit status for it.
int complain(std::string_view text);
/// The place, or none after having said why.
std::optional<Place> place_of(const Invocation&);
/// The sentence for a request that did not get through.
std::string not_served(const Place&, const Error&);
/// What became of a reload, for people; the exit status.
int tell(const api::ReloadOutcome&);

/// Asks toriid and reads its answer.
template <class T>
Result<T> get(const Place& place, const std::string& target, std::string_view method = "GET") {
    const auto answer = api::ask(place.socket, method, target);
    if (!answer) return fail(answer.error().code, not_served(place, answer.error()));
    if (answer->status != 200) return fail(Errc::io, api::error_message(answer->body));
    return api::from_json<T>(answer->body);
}

}  // namespace torii::cli
