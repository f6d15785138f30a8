#pragma once
// BodyCheck: looks at the body of an answer as it arrives: its digest, and a regular expression.

#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "config/model/health.h"
#include "healthcheck/result.h"

namespace torii::healthcheck {

class BodyCheck {
public:
    explicit BodyCheck(const config::HttpHealth&);
    ~BodyCheck();

    /// Whether the settings ask for anything of the body.
    bool wanted() const;
    /// False when the body is longer than the settings allow.
    bool take(std::string_view piece);
    /// After the last piece: what is wrong with it, if anything.
    std::optional<Result> verdict();

private:
    struct Digest;
    const config::HttpHealth& settings_;
    std::unique_ptr<Digest> digest_;
    uint64_t size_ = 0;
    std::string text_;  // kept for the regular expression only
};

/// Why the expression cannot be used; empty when it can.
std::string regex_mistake(const std::string&);

}  // namespace torii::healthcheck
