// Files that no operator writes. Whatever they hold, the answer is a sentence, soon.

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <chrono>
#include <string>

#include "config/load/load.h"
#include "config/schema/node.h"

namespace torii::config {
namespace {

using testing::HasSubstr;
using testing::StartsWith;

/// What is said about a text that cannot be right.
std::string complaint(std::string_view text) {
    const auto start = std::chrono::steady_clock::now();
    const Loaded loaded = load_text(text, "t");
    // Generous enough for sanitizers on a loaded machine, and far below what "hangs" would take.
    EXPECT_LT(std::chrono::steady_clock::now() - start, std::chrono::seconds(60));
    EXPECT_FALSE(loaded.config);
    EXPECT_FALSE(loaded.diagnostics.empty());
    return format(loaded.diagnostics);
}

std::string repeat(std::string_view text, size_t times) {
    std::string all;
    for (size_t i = 0; i < times; ++i) all += text;
    return all;
}

TEST(Hostile, NothingAtAll) {
    EXPECT_EQ(complaint(""), "t: the file must be a mapping, got nothing\n");
    EXPECT_EQ(complaint("# only\n# comments\n"), "t: the file must be a mapping, got nothing\n");
    EXPECT_EQ(complaint("---\n...\n"), "t: the file must be a mapping, got nothing\n");
    EXPECT_EQ(complaint("just text"), "t:1:1: the file must be a mapping, got 'just text'\n");
    EXPECT_EQ(complaint("- a\n- b\n"), "t:1:1: the file must be a mapping, got a list\n");
}

TEST(Hostile, NotText) {
    EXPECT_EQ(complaint(std::string_view("a: 1\nb: \0", 9)),
              "t:2:4: the byte 0x00 is a control character\n");
    EXPECT_EQ(complaint("a: \x04\n"), "t:1:4: the byte 0x04 is a control character\n");
    EXPECT_EQ(complaint("a: \xff\n"), "t:1:4: the byte 0xff is not UTF-8\n");
    EXPECT_EQ(complaint("a: \xc0\x80\n"), "t:1:4: the byte 0xc0 is not UTF-8\n") << "overlong";
    EXPECT_EQ(complaint("a: \xed\xa0\x80\n"), "t:1:4: the byte 0xed is not UTF-8\n") << "surrogate";
    EXPECT_EQ(complaint("a: \xf4\x90\x80\x80"), "t:1:4: the byte 0xf4 is not UTF-8\n") << "too big";
    EXPECT_EQ(complaint("a: \xe2\x82"), "t:1:4: the byte 0xe2 is not UTF-8\n") << "cut off";
    EXPECT_EQ(complaint(std::string("\x7f"
                                    "ELF\x02\x01\x01")),
              "t:1:1: the byte 0x7f is a control character\n");
    EXPECT_THAT(complaint("\xe2\x82\xac: 1\n"), StartsWith("t:1:1: unknown key '\xe2\x82\xac'"));
}

TEST(Hostile, ControlCharactersFromEscapesNeverReachTheTerminal) {
    EXPECT_THAT(complaint("\"\\e[2J\\0\": 1\n"), StartsWith("t:1:1: unknown key '\\x1b[2J\\x00'"));
    EXPECT_THAT(complaint("instance: \"a\\nb\"\n"), HasSubstr("got 'a\\x0ab'"));
}

TEST(Hostile, NotYaml) {
    EXPECT_THAT(complaint("a: [1, 2\n"), StartsWith("t:2:1: not YAML: "));
    EXPECT_THAT(complaint("a: 1\n\tb: 2\n"), StartsWith("t:2:1: not YAML: ")) << "tabs";
    EXPECT_THAT(complaint("a: 'b\n"), HasSubstr("not YAML: "));
    EXPECT_THAT(complaint("a: b: c\n"), StartsWith("t:1:5: not YAML: "));
    EXPECT_THAT(complaint("%YAML 9.9\n"), HasSubstr("t"));
    EXPECT_THAT(complaint("{}\n---\n{}\n"), HasSubstr("a second document: only one is read"));
    EXPECT_THAT(complaint("? [a]\n: 1\n"), HasSubstr("t:1:3: a key must be text, got a list"));
}

TEST(Hostile, DeepNesting) {
    EXPECT_EQ(complaint(repeat("[a, ", 40) + repeat("]", 40)),
              "t:1:129: nested more than 32 levels deep\n");
    EXPECT_THAT(complaint("a: " + repeat("{a: ", 200000)), HasSubstr("nested more than 32"));
    EXPECT_THAT(complaint(repeat("- ", 200000)), HasSubstr("nested more than 32"));
    EXPECT_THAT(complaint(repeat("? ", 100000)), HasSubstr("nested more than 32"));
}

TEST(Hostile, AliasBomb) {
    std::string bomb = "a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n";
    for (int i = 1; i <= 12; ++i) {
        const std::string now = std::to_string(i), last = "*a" + std::to_string(i - 1);
        bomb += "a" + now + ": &a" + now + " [" + last + repeat(", " + last, 9) + "]\n";
    }
    EXPECT_THAT(complaint(bomb), HasSubstr("more than 4194304 values, with aliases expanded"));
}

TEST(Hostile, AliasesToNothingAndToThemselves) {
    EXPECT_THAT(complaint("a: *b\n"), StartsWith("t:1:4: not YAML: "));
    EXPECT_EQ(complaint("a: &a [*a]\n"), "t:1:8: an alias cannot stand within its own anchor\n");
}

TEST(Hostile, LongLines) {
    const std::string line(1 << 20, 'x');
    EXPECT_THAT(complaint(line), StartsWith("t:1:1: the file must be a mapping, got 'xxxx"));
    EXPECT_LT(complaint(line).size(), 200u);
    EXPECT_LT(complaint(line + ": 1\n").size(), 300u);
    EXPECT_LT(complaint("instance: " + line + "\n").size(), 300u);
    EXPECT_FALSE(complaint("a: [" + repeat("1, ", 1 << 18) + "]\n").empty());
}

TEST(Hostile, ManyKeys) {
    std::string text;
    for (int i = 0; i < 100000; ++i) text += "k" + std::to_string(i) + ": 1\n";
    const std::string said = complaint(text);
    EXPECT_THAT(said, StartsWith("t:1:1: unknown key 'k0'"));
    EXPECT_THAT(said, testing::EndsWith("t: and 99001 more errors\n"));
    EXPECT_THAT(complaint(repeat("instance: a\n", 100000)),
                StartsWith("t:2:1: 'instance' is given twice\n"));
}

TEST(Hostile, TooLarge) {
    EXPECT_EQ(complaint("a:\n" + std::string(kMaxBrackets + 1, '{')),
              "t:2:2097153: more than 2097152 brackets and commas\n");
    EXPECT_THAT(complaint(std::string(kMaxBrackets, '{')), HasSubstr("nested more than 32"));
    EXPECT_EQ(complaint(std::string(kMaxBytes + 1, '#')), "t: more than 16 MiB\n");
    EXPECT_EQ(format(load_file("/dev/zero").diagnostics), "/dev/zero: more than 16 MiB\n");
}

/// Every prefix of a good file, and the file with each byte changed, is answered.
TEST(Hostile, TruncatedAndChangedAtEveryByte) {
    constexpr std::string_view kGood =
        "dataplane: {ports: [{name: p, driver: memory}]}\nservers: {a: {address: 10.0.0.1}}\n"
        "services:\n  - name: &n s\n    virtual: [192.0.2.1:80/tcp, \"[2001:db8::1]:80/tcp\"]\n"
        "    backends: [{server: a, port: 8080}, {address: \"2001:db8::2\"}]\n";
    ASSERT_TRUE(load_text(kGood, "t").config);
    size_t refused = 0;
    for (size_t i = 0; i < kGood.size(); ++i) {
        refused += !load_text(kGood.substr(0, i), "t").config;
        for (const char c : {'\0', '\t', '\n', '*', '&', '{', ']', ':', '"', '-', '!', '\x80'}) {
            std::string changed(kGood);
            changed[i] = c;
            const Loaded loaded = load_text(changed, "t");
            EXPECT_NE(loaded.config.has_value(), !loaded.diagnostics.empty());
            refused += !loaded.config;
        }
    }
    EXPECT_GT(refused, kGood.size());
}

}  // namespace
}  // namespace torii::config
