// What watching does to the priority.

#include "vrrp/track.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace torii::vrrp {
namespace {

using enum Health;

Tracked script(int weight, Health health, bool reverse = false) {
    return {TrackKind::script, "ok", weight, reverse, health, 0};
}
Tracked file(int weight, int number) {
    return {TrackKind::file, "/f", weight, false, well, number};
}

struct Row {
    const char* name;
    Tracked thing;
    int priority;  ///< of 100
    bool fault;
    bool pending;
    const char* why;
    friend void PrintTo(const Row& row, std::ostream* out) { *out << row.name; }
};

class Weights : public testing::TestWithParam<Row> {};

TEST_P(Weights, AreThese) {
    const Row& row = GetParam();
    const Effective got = effective_priority(100, {&row.thing, 1});
    EXPECT_EQ(got.priority, row.priority);
    EXPECT_EQ(got.fault, row.fault);
    EXPECT_EQ(got.pending, row.pending);
    EXPECT_EQ(got.influences.empty() ? "" : to_string(got.influences[0]), row.why);
}

INSTANTIATE_TEST_SUITE_P(
    Track, Weights,
    testing::Values(
        Row{"positive_well", script(20, well), 120, false, false, "script ok: +20"},
        Row{"positive_ill", script(20, ill), 100, false, false, ""},
        Row{"positive_unknown", script(20, unknown), 100, false, false, ""},
        Row{"negative_well", script(-20, well), 100, false, false, ""},
        Row{"negative_ill", script(-20, ill), 80, false, false, "script ok: -20"},
        Row{"negative_unknown", script(-20, unknown), 100, false, false, ""},
        Row{"none_well", script(0, well), 100, false, false, ""},
        Row{"none_ill", script(0, ill), 100, true, false, "script ok: fault"},
        Row{"none_unknown", script(0, unknown), 100, false, true, ""},
        Row{"reverse_positive_ill", script(20, ill, true), 120, false, false, "script ok: +20"},
        Row{"reverse_positive_well", script(20, well, true), 100, false, false, ""},
        Row{"reverse_negative_well", script(-20, well, true), 80, false, false, "script ok: -20"},
        Row{"reverse_negative_ill", script(-20, ill, true), 100, false, false, ""},
        Row{"reverse_none_well", script(0, well, true), 100, true, false, "script ok: fault"},
        Row{"reverse_none_ill", script(0, ill, true), 100, false, false, ""},
        Row{"too_much", script(253, well), 254, false, false, "script ok: +253"},
        Row{"too_little", script(-253, ill), 1, false, false, "script ok: -253"},
        Row{"file", file(2, -10), 80, false, false, "file /f: -20"},
        Row{"file_of_zero", file(2, 0), 100, false, false, ""},
        Row{"file_far_out", file(253, 2147483647), 254, false, false, "file /f: +254"},
        Row{"file_without_weight", file(0, 1), 100, true, false, "file /f: fault"},
        Row{"file_without_weight_of_zero", file(0, 0), 100, false, false, ""}),
    [](const auto& row) { return std::string(row.param.name); });

TEST(Track, SumsBeforeItCuts) {
    const Tracked things[] = {script(200, well), script(-60, ill)};
    EXPECT_EQ(effective_priority(100, things).priority, 240);
}

TEST(Track, OwnersNeverChange) {
    const Tracked things[] = {script(-20, ill), script(0, ill)};
    const Effective got = effective_priority(255, things);
    EXPECT_EQ(got.priority, 255);
    EXPECT_TRUE(got.fault);
}

TEST(Track, WeightsOfTheGroupAreShared) {
    const Tracked own[] = {script(-20, ill)};
    Tracked theirs[] = {script(-30, ill), script(0, ill), script(0, unknown)};
    theirs[0].name = "uplink";
    const Effective got = effective_priority(100, own, theirs);
    EXPECT_EQ(got.priority, 50);
    EXPECT_FALSE(got.fault);
    EXPECT_FALSE(got.pending);
    ASSERT_EQ(got.influences.size(), 2u);
    EXPECT_EQ(to_string(got.influences[1]), "script uplink: -30 (of its group)");
}

TEST(Streak, TheFirstResultDecidesThenRiseAndFallCount) {
    Streak s{.rise = 3, .fall = 2};
    const auto after = [&](std::string_view results) {
        for (const char c : results) s = observe(s, c == '+');
        return s.health;
    };
    EXPECT_EQ(after("-"), ill);
    EXPECT_EQ(after("++"), ill);
    EXPECT_EQ(after("-++"), ill) << "not in a row";
    EXPECT_EQ(after("+"), well);
    EXPECT_EQ(after("-+-+-"), well);
    EXPECT_EQ(after("-"), ill);
    EXPECT_EQ(observe({}, true).health, well);
}

TEST(TrackFile, HoldsANumberOrCountsAsZero) {
    EXPECT_EQ(parse_track_file("7\n"), 7);
    EXPECT_EQ(parse_track_file("  -12 because\n"), -12);
    EXPECT_EQ(parse_track_file("+3"), 3);
    for (const char* nothing : {"", " \n", "up", "99999999999999"})
        EXPECT_EQ(parse_track_file(nothing), 0) << nothing;
}

}  // namespace
}  // namespace torii::vrrp
