#pragma once
// The lines that ipvsadm -R reads.

#include <optional>
#include <string>
#include <vector>

namespace torii::cli {

/// The words of one line of a saved table: split at blanks; the word ipvsadm is left out wherever
/// it stands. Pure.
std::vector<std::string> restore_words(std::string_view line);

/// Lines of a descriptor, with word of when the next one would have to be waited for.
class LineSource {
public:
    explicit LineSource(int descriptor, bool keeps_last = false)
        : descriptor_(descriptor), keeps_last_(keeps_last) {}
    /// Without its end; nothing at the end of input. The last line needs no end of its own; but
    /// where two blanks follow its words ipvsadm loses it then, and so does this unless it
    /// `keeps_last`.
    std::optional<std::string> next();
    /// Whether next() returns within a moment: a writer that is at work counts as ready.
    bool ready();

private:
    bool fill();

    int descriptor_;
    bool keeps_last_;
    std::string buffer_;
    size_t from_ = 0;
    bool ended_ = false;
};

/// Every line of a descriptor but comments, read to its end at once.
class WholeInput {
public:
    explicit WholeInput(int descriptor);
    std::optional<std::string> next();
    static bool ready() { return true; }

private:
    std::vector<std::string> lines_;
    size_t next_ = 0;
};

}  // namespace torii::cli
