#include "control/health/board.h"

#include <algorithm>

namespace torii::health {

using healthcheck::Event;

bool Board::reset(uint64_t round, const std::vector<Start>& starts) {
    const std::lock_guard lock(mutex_);
    round_ = round;
    changes_.clear();
    std::vector<CheckReport> reports(starts.size());
    for (size_t i = 0; i < starts.size(); ++i) {
        const Start& s = starts[i];
        if (s.before < now_.reports.size()) reports[i] = now_.reports[s.before];
        reports[i].state = s.state;
        // It changed while the new set was on its way.
        if (s.state.up != s.believed_up)
            changes_.push_back({i, s.state.up ? Event::went_up : Event::went_down, reports[i]});
    }
    now_.reports = std::move(reports);
    return told_ = !changes_.empty();
}

bool Board::post(const healthcheck::Report& r, config::HealthType type,
                 const healthcheck::Punctuality& p) {
    const std::lock_guard lock(mutex_);
    CheckReport& report = now_.reports[r.check];
    const bool news = r.event != Event::none || report.last.weight != r.result.weight ||
                      report.last.warning != r.result.warning;
    report.state = r.state;
    report.last = r.result;
    report.at = std::chrono::system_clock::now();
    ++(r.result.good() ? report.good : report.bad);
    ++now_.results[type][size_t(r.result.reason)];
    now_.punctuality = p;
    if (!news) return false;
    changes_.push_back({r.check, r.event, report});
    return !std::exchange(told_, true);
}

std::vector<Board::Change> Board::changes(uint64_t round) {
    const std::lock_guard lock(mutex_);
    if (round != round_) return {};
    told_ = false;
    return std::exchange(changes_, {});
}

bool Board::all_proven(uint64_t round) const {
    const std::lock_guard lock(mutex_);
    return round == round_ && changes_.empty() &&
           std::ranges::all_of(now_.reports, [](const CheckReport& r) { return r.state.proven; });
}

Board::View Board::view(uint64_t round) const {
    const std::lock_guard lock(mutex_);
    View v = now_;
    if (round != round_) v.reports.clear();
    return v;
}

}  // namespace torii::health
