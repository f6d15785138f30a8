#include "config/base/error.h"

#include <system_error>

namespace torii {

tl::unexpected<Error> fail_errno(std::string_view what, int errno_value) {
    return fail(Errc::io, std::string(what) + ": " + std::generic_category().message(errno_value));
}

}  // namespace torii
