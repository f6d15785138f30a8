#include "dataplane/io/log.h"

#include <fmt/format.h>
#include <spdlog/sinks/stdout_sinks.h>
#include <spdlog/spdlog.h>

#include <algorithm>
#include <array>

namespace torii::io {
namespace {

struct Level {
    std::string_view name;
    spdlog::level::level_enum value;
};
constexpr std::array kLevels = {
    Level{"trace", spdlog::level::trace}, Level{"debug", spdlog::level::debug},
    Level{"info", spdlog::level::info},   Level{"warning", spdlog::level::warn},
    Level{"error", spdlog::level::err},   Level{"off", spdlog::level::off},
};

}  // namespace

Result<> start_log(std::string_view level) {
    const auto found = std::ranges::find(kLevels, level, &Level::name);
    if (found == kLevels.end())
        return fail(Errc::invalid,
                    fmt::format("there is no log level '{}': it is one of trace, debug, info, "
                                "warning, error, off",
                                level));
    auto log = std::make_shared<spdlog::logger>("torii-dataplane",
                                                std::make_shared<spdlog::sinks::stderr_sink_mt>());
    log->set_pattern("time=%Y-%m-%dT%H:%M:%S.%e%z level=%l %v");
    log->set_level(found->value);
    log->flush_on(spdlog::level::info);
    spdlog::set_default_logger(std::move(log));
    return {};
}

std::string in_quotes(std::string_view value) {
    if (!value.empty() && value.find_first_of(" \"=\t\n") == value.npos) return std::string(value);
    std::string out = "\"";
    for (const char c : value) {
        if (c == '"' || c == '\\') out += '\\';
        out += c == '\n' ? ' ' : c;
    }
    return out + '"';
}

}  // namespace torii::io
