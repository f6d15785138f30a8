#include "vrrp/track.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>

#include "vrrp/codec.h"

namespace torii::vrrp {
namespace {

constexpr int kLowest = 1, kHighest = 254;

/// Whether a thing of weight 0 is a fault. What has not been looked at yet is no fault.
bool is_fault(const Tracked& t) {
    if (t.kind == TrackKind::file) return t.number != 0;
    return t.health == (t.reverse ? Health::well : Health::ill);
}

/// What it adds to the priority.
int change_of(const Tracked& t) {
    if (t.kind == TrackKind::file) {
        const int64_t change = int64_t(t.number) * t.weight;
        return int(std::clamp<int64_t>(change, -kHighest, kHighest));
    }
    const bool well = t.health == (t.reverse ? Health::ill : Health::well);
    const bool ill = t.health == (t.reverse ? Health::well : Health::ill);
    return (t.weight > 0 && well) || (t.weight < 0 && ill) ? t.weight : 0;
}

void weigh(std::span<const Tracked> things, bool shared, int& sum, Effective& e) {
    for (const Tracked& t : things) {
        if (t.weight == 0 && shared) continue;
        if (t.weight == 0) {
            e.pending |= t.health == Health::unknown && t.kind != TrackKind::file;
            if (!is_fault(t)) continue;
            e.fault = true;
            e.influences.push_back({t.kind, t.name, 0, true, shared});
        } else if (const int change = change_of(t); change != 0) {
            sum += change;
            e.influences.push_back({t.kind, t.name, change, false, shared});
        }
    }
}

}  // namespace

std::string to_string(const Influence& i) {
    const std::string_view whose = i.shared ? " (of its group)" : "";
    if (i.fault) return fmt::format("{} {}: fault{}", to_string(i.kind), i.name, whose);
    return fmt::format("{} {}: {:+}{}", to_string(i.kind), i.name, i.change, whose);
}

Effective effective_priority(uint8_t configured, std::span<const Tracked> own,
                             std::span<const Tracked> shared) {
    Effective e;
    int sum = configured;
    weigh(own, false, sum, e);
    weigh(shared, true, sum, e);
    e.priority = configured == kOwner ? kOwner : uint8_t(std::clamp(sum, kLowest, kHighest));
    return e;
}

Streak observe(Streak s, bool success) {
    const Health seen = success ? Health::well : Health::ill;
    if (s.health == Health::unknown || s.health == seen) {
        s.health = seen;
        s.against = 0;
        return s;
    }
    if (++s.against < (success ? s.rise : s.fall)) return s;
    s.health = seen;
    s.against = 0;
    return s;
}

int parse_track_file(std::string_view text) {
    const size_t start = text.find_first_not_of(" \t\r\n");
    if (start == text.npos) return 0;
    text.remove_prefix(start);
    if (text.starts_with('+')) text.remove_prefix(1);
    int value = 0;
    const auto parsed = std::from_chars(text.data(), text.data() + text.size(), value);
    return parsed.ec == std::errc{} ? value : 0;
}

}  // namespace torii::vrrp
