#pragma once
// A blocking HTTP client of toriid's unix socket, for the command.

#include <chrono>
#include <functional>
#include <string>
#include <string_view>

#include "config/base/error.h"

namespace torii::api {

struct Answer {
    unsigned status = 0;
    std::string body;
};

/// One request, one answer. Errc::not_found when there is no socket, Errc::busy when nobody serves
/// it, Errc::io for the rest; the sentence ends in the system's reason, e.g. "Connection refused".
Result<Answer> ask(const std::string& socket, std::string_view method, const std::string& target,
                   std::chrono::milliseconds timeout = std::chrono::seconds(10),
                   std::string body = {});

/// GET, and hands each line of the body to `line` as it arrives; stops when that returns false.
/// An answer other than 200 comes back with its body. `timeout` is for each piece.
Result<Answer> ask_lines(const std::string& socket, const std::string& target,
                         const std::function<bool(std::string_view)>& line,
                         std::chrono::milliseconds timeout = std::chrono::seconds(30));

}  // namespace torii::api
