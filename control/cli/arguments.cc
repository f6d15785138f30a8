#include "control/cli/arguments.h"

#include <fmt/format.h>

#include <algorithm>

namespace torii::cli {
namespace {

class Reader {
public:
    Reader(std::span<const std::string> words, std::span<const Option> options)
        : words_(words), options_(options) {}

    Arguments run() {
        for (; next_ < words_.size();) {
            const std::string& word = words_[next_++];
            if (only_words_ || word.size() < 2 || word[0] != '-') {
                found_.push_back({nullptr, word, word, true});
            } else if (word == "--") {
                only_words_ = true;
            } else if (auto ok = word[1] == '-' ? long_option(word) : short_options(word); !ok) {
                return {std::move(found_), std::move(ok.error())};
            }
        }
        return {std::move(found_), std::nullopt};
    }

private:
    Result<> long_option(const std::string& word) {
        const size_t equals = word.find('=');
        const std::string name = word.substr(2, equals == std::string::npos ? equals : equals - 2);
        const auto it = std::ranges::find(options_, name, &Option::long_name);
        if (name.empty() || it == options_.end())
            return fail(Errc::invalid, word + ": unknown option");
        Argument a{&*it, word, {}, false};
        if (equals != std::string::npos) {
            if (it->takes == Takes::nothing)
                return fail(Errc::invalid, word + ": option does not take an argument");
            a.value = word.substr(equals + 1);
            a.has_value = true;
        } else if (auto ok = take_value(a); !ok) {
            return ok;
        }
        found_.push_back(std::move(a));
        return {};
    }

    Result<> short_options(const std::string& word) {
        for (size_t i = 1; i < word.size(); ++i) {
            const auto it = std::ranges::find(options_, word[i], &Option::short_name);
            if (it == options_.end()) return fail(Errc::invalid, word + ": unknown option");
            Argument a{&*it, word, {}, false};
            const bool last = i + 1 == word.size();
            if (it->takes == Takes::nothing && !last && word[i + 1] == '=')
                return fail(Errc::invalid, word + ": option does not take an argument");
            if (it->takes != Takes::nothing && !last) {
                a.value = word.substr(word[i + 1] == '=' ? i + 2 : i + 1);
                a.has_value = true;
                i = word.size();
            } else if (auto ok = take_value(a); !ok) {
                return ok;
            }
            found_.push_back(std::move(a));
        }
        return {};
    }

    Result<> take_value(Argument& a) {
        if (a.option->takes == Takes::nothing) return {};
        const bool there = next_ < words_.size();
        if (a.option->takes == Takes::optional_value && (!there || words_[next_].starts_with('-')))
            return {};
        if (!there) return fail(Errc::invalid, a.last_word + ": missing argument");
        a.value = a.last_word = words_[next_++];
        a.has_value = true;
        return {};
    }

    std::span<const std::string> words_;
    std::span<const Option> options_;
    size_t next_ = 0;
    bool only_words_ = false;
    std::vector<Argument> found_;
};

}  // namespace

Arguments read_arguments(std::span<const std::string> words, std::span<const Option> options) {
    return Reader(words, options).run();
}

Result<std::vector<Argument>> parse_arguments(std::span<const std::string> words,
                                              std::span<const Option> options) {
    Arguments read = read_arguments(words, options);
    if (read.error) return tl::unexpected(std::move(*read.error));
    return std::move(read.all);
}

std::string describe(std::span<const Option> options) {
    std::string out;
    for (const Option& o : options) {
        std::string left = o.short_name ? fmt::format("-{}", o.short_name) : "  ";
        if (!o.long_name.empty())
            left += fmt::format("{} --{}", o.short_name ? "," : " ", o.long_name);
        if (o.takes != Takes::nothing) left += fmt::format(" {}", o.value_name);
        out += fmt::format("  {:<26} {}\n", left, o.help);
    }
    return out;
}

}  // namespace torii::cli
