#pragma once
// Actions as text, so that a row of a test is one line.

#include <fmt/format.h>

#include <string>

#include "vrrp/fsm.h"

namespace torii::vrrp {

inline std::string word(const Action& a) {
    switch (a.kind) {
        case Action::Kind::send_advert:
            return fmt::format("advert {}", a.priority);
        case Action::Kind::announce:
            return fmt::format("announce {}", a.repeat);
        case Action::Kind::notify:
            return fmt::format("{}: {}", to_string(a.role), info(a.reason).name);
        case Action::Kind::weaker:
            return fmt::format("weaker {}", a.priority);
        default:
            return std::string(to_string(a.kind));
    }
}

/// "advert 100, hold, announce 5, active: silence"
inline std::string words(const Actions& actions) {
    std::string all;
    for (const Action& a : actions) all += (all.empty() ? "" : ", ") + word(a);
    return all;
}

}  // namespace torii::vrrp
