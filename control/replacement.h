#pragma once
// Replacing a file as a whole: readers find the old or the new one, whatever happens.

#include <string>
#include <string_view>

#include "config/base/error.h"

namespace torii::control {

/// New contents of a file, written and synchronised beside it; gone again unless committed.
class Replacement {
public:
    /// With the owner and mode of the file it is to replace. Errc::io when it cannot be written.
    static Result<Replacement> write(const std::string& file, std::string_view text);
    Replacement(Replacement&& other) noexcept;
    Replacement& operator=(Replacement&&) = delete;
    ~Replacement();

    enum class Former : uint8_t { kept, gone };
    /// Takes the file's place; what was there is kept as FILE~, or is gone.
    Result<> commit(Former = Former::kept);

private:
    Replacement(std::string file, std::string temporary)
        : file_(std::move(file)), temporary_(std::move(temporary)) {}
    std::string file_, temporary_;  ///< temporary_ is empty once there is nothing to clean up
};

}  // namespace torii::control
