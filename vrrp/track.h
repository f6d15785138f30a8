#pragma once
// What an instance watches, and what that does to its priority. Pure: who watches hands in what it
// saw. keepalived's rules: a weight above 0 is added while the thing is well, one below 0 while it
// is not; reverse swaps the two; weight 0 is a fault while it is not well. The sum is kept within 1
// to 254; an owner's 255 never changes.

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace torii::vrrp {

enum class TrackKind : uint8_t { interface, script, file, process, dataplane, service };
std::string_view to_string(TrackKind);  ///< "interface", "script", ...

enum class Health : uint8_t {
    unknown,  ///< not looked at yet
    well,
    ill,
};

/// One watched thing and what was last seen of it.
struct Tracked {
    TrackKind kind = TrackKind::interface;
    std::string name;
    int weight = 0;
    bool reverse = false;
    Health health = Health::unknown;
    int number = 0;  ///< file only: what it holds
    friend bool operator==(const Tracked&, const Tracked&) = default;
};

/// Why the effective priority is not the configured one: one line of an explanation.
struct Influence {
    TrackKind kind;
    std::string name;
    int change = 0;       ///< added to the priority
    bool fault = false;   ///< makes the instance faulty instead
    bool shared = false;  ///< comes from another member of the group
    friend bool operator==(const Influence&, const Influence&) = default;
};
std::string to_string(const Influence&);  ///< "script check: -20", "interface eth0: fault"

struct Effective {
    uint8_t priority = 100;
    bool fault = false;
    bool pending = false;  ///< a thing of weight 0 has not been looked at: not ready to start
    std::vector<Influence> influences;
    friend bool operator==(const Effective&, const Effective&) = default;
};

/// `own` is what the instance watches, `shared` what the other members of its group do: the weights
/// of a group apply to all its members, so that their order never differs from one to the next. A
/// fault is only of `own`; step_group() gives it to the others.
Effective effective_priority(uint8_t configured, std::span<const Tracked> own,
                             std::span<const Tracked> shared = {});

/// Turns single results into a steady state: `rise` successes in a row make it well, `fall`
/// failures in a row ill. The first result decides at once.
struct Streak {
    unsigned rise = 1, fall = 1;
    Health health = Health::unknown;
    unsigned against = 0;  ///< results in a row that contradict `health`
    friend bool operator==(const Streak&, const Streak&) = default;
};
[[nodiscard]] Streak observe(Streak, bool success);

/// What a tracked file holds: its first number, with sign; 0 when there is none.
int parse_track_file(std::string_view text);

}  // namespace torii::vrrp
