// When a router acts next, and how long it waits for another: RFC 5798 and RFC 9568 section 6.1.

#include <algorithm>

#include "vrrp/fsm.h"

namespace torii::vrrp {

using namespace std::chrono_literals;

Time wakeup(const State& s) {
    if (s.role == Role::initialize && !s.ready) return kNever;  // however long ago its delay ended
    return std::min({s.deadline, s.announce, s.refresh});
}

Duration skew_time(const Settings& s, Duration active_interval) {
    const Duration whole = s.version == 2 ? Duration(1s) : active_interval;
    return whole * (256 - s.priority) / 256;
}

Duration down_interval(const Settings& s, Duration active_interval) {
    return s.missed_adverts * active_interval + skew_time(s, active_interval);
}

Duration patience(const Settings& s, Duration interval) {
    // Peers count from the advert before the one that is late. With a patience of one advert
    // nothing is left of it but their skew time, which no timer can be held to.
    return std::max<Duration>((int64_t(s.missed_adverts) - 1) * interval, interval / 2);
}

}  // namespace torii::vrrp
