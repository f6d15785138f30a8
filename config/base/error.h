#pragma once
// Errors are values. A function that can fail for a reason outside this program (an operator, a
// peer, the kernel) returns Result<T>; nothing throws across a folder's boundary.

#include <cstdint>
#include <string>
#include <string_view>
#include <tl/expected.hpp>
#include <utility>

namespace torii {

enum class Errc : uint8_t { invalid, not_found, exists, full, busy, io, layout, internal };

/// What went wrong, in words an operator can act on. Each caller that knows something its callee
/// did not adds a prefix with within(); the innermost message stays last.
struct [[nodiscard]] Error {
    Errc code;
    std::string message;
    Error within(std::string_view context) && {
        return {code, std::string(context) + ": " + std::move(message)};
    }
};

template <class T = void>
using Result = tl::expected<T, Error>;

inline tl::unexpected<Error> fail(Errc code, std::string message) {
    return tl::unexpected<Error>(Error{code, std::move(message)});
}

/// An Errc::io error that ends in strerror(errno_value).
tl::unexpected<Error> fail_errno(std::string_view what, int errno_value);

}  // namespace torii
