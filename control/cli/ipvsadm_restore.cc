#include "control/cli/ipvsadm_restore.h"

#include <poll.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>

namespace torii::cli {
namespace {

constexpr int kMomentMs = 20;
constexpr size_t kPiece = 65536;
constexpr size_t kLongestWord = 4096;
constexpr std::string_view kBlanks = " \t\r";

// ipvsadm sees the end of input only where a word may end.
bool ends_lost(std::string_view rest) {
    const size_t last = rest.find_last_not_of(kBlanks);
    return last != rest.npos && rest.size() - last > 2;
}

}  // namespace

std::vector<std::string> restore_words(std::string_view line) {
    std::vector<std::string> words;
    for (size_t from = 0; (from = line.find_first_not_of(kBlanks, from)) != line.npos;) {
        const size_t blank = std::min(line.find_first_of(kBlanks, from), line.size());
        const size_t end = std::min(blank, from + kLongestWord);
        std::string_view word = line.substr(from, end - from);
        word = word.substr(0, word.find('\0'));
        if (word != "ipvsadm") words.emplace_back(word);
        from = end;
    }
    return words;
}

std::optional<std::string> LineSource::next() {
    for (size_t searched = from_;;) {
        const size_t end = buffer_.find('\n', searched);
        if (end != std::string::npos) {
            std::string line = buffer_.substr(from_, end - from_);
            from_ = end + 1;
            return line;
        }
        searched = buffer_.size() - from_;
        if (fill()) continue;
        if (from_ == buffer_.size()) return std::nullopt;
        std::string line = buffer_.substr(from_);
        from_ = buffer_.size();
        if (!keeps_last_ && ends_lost(line)) return std::nullopt;
        return line;
    }
}

bool LineSource::ready() {
    if (ended_ || buffer_.find('\n', from_) != std::string::npos) return true;
    pollfd p{descriptor_, POLLIN, 0};
    return ::poll(&p, 1, kMomentMs) != 0;
}

WholeInput::WholeInput(int descriptor) {
    LineSource input(descriptor, true);
    while (auto line = input.next())
        if (!line->starts_with('#')) lines_.push_back(std::move(*line));
}

std::optional<std::string> WholeInput::next() {
    if (next_ == lines_.size()) return std::nullopt;
    return std::move(lines_[next_++]);
}

bool LineSource::fill() {
    if (ended_) return false;
    buffer_.erase(0, from_);
    from_ = 0;
    const size_t before = buffer_.size();
    buffer_.resize(before + kPiece);
    ssize_t n;
    do n = ::read(descriptor_, buffer_.data() + before, kPiece);
    while (n < 0 && errno == EINTR);
    buffer_.resize(before + size_t(n < 0 ? 0 : n));
    ended_ = n <= 0;
    return !ended_;
}

}  // namespace torii::cli
