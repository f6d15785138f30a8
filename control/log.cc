#include "control/log.h"

#include <fmt/format.h>
#include <spdlog/sinks/stdout_sinks.h>
#include <spdlog/spdlog.h>

namespace torii::control {

Result<> start_log(std::string_view level) {
    const auto parsed = spdlog::level::from_str(std::string(level));
    if (parsed == spdlog::level::off && level != "off")
        return fail(Errc::invalid,
                    fmt::format("there is no log level '{}': it is one of trace, debug, info, "
                                "warning, error, off",
                                level));
    auto log = std::make_shared<spdlog::logger>("toriid",
                                                std::make_shared<spdlog::sinks::stderr_sink_st>());
    log->set_pattern("time=%Y-%m-%dT%H:%M:%S.%e%z level=%l %v");
    log->set_level(parsed);
    log->flush_on(spdlog::level::info);
    spdlog::set_default_logger(std::move(log));
    return {};
}

std::string in_quotes(std::string_view value) {
    if (!value.empty() && value.find_first_of(" \"=\t\n\\") == value.npos)
        return std::string(value);
    std::string out = "\"";
    for (const char c : value) {
        if (c == '"' || c == '\\') out += '\\';
        out += c == '\n' ? ' ' : c;
    }
    return out + '"';
}

}  // namespace torii::control
