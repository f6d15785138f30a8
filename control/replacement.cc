#include "control/replacement.h"

#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <cstring>

namespace torii::control {
namespace {

Result<> write_all(int fd, std::string_view text) {
    while (!text.empty()) {
        const ssize_t n = ::write(fd, text.data(), text.size());
        if (n < 0 && errno != EINTR) return fail(Errc::io, std::strerror(errno));
        if (n > 0) text.remove_prefix(size_t(n));
    }
    if (::fsync(fd) != 0) return fail(Errc::io, std::strerror(errno));
    return {};
}

}  // namespace

Result<Replacement> Replacement::write(const std::string& file, std::string_view text) {
    std::string name = file + ".XXXXXX";
    const int fd = ::mkstemp(name.data());
    if (fd < 0) return fail(Errc::io, fmt::format("{}: {}", name, std::strerror(errno)));
    Replacement made(file, name);
    struct stat there {};
    const bool known = ::stat(file.c_str(), &there) == 0;
    Result<> ok = write_all(fd, text);
    if (ok && known && ::fchown(fd, there.st_uid, there.st_gid) != 0)
        ok = fail(Errc::io, std::strerror(errno));
    if (ok && ::fchmod(fd, known ? there.st_mode & 07777 : 0640) != 0)
        ok = fail(Errc::io, std::strerror(errno));
    ::close(fd);
    if (!ok) return fail(ok.error().code, fmt::format("{}: {}", name, ok.error().message));
    return made;
}

Replacement::Replacement(Replacement&& other) noexcept
    : file_(std::move(other.file_)), temporary_(std::exchange(other.temporary_, {})) {}

Replacement::~Replacement() {
    if (!temporary_.empty()) ::unlink(temporary_.c_str());
}

Result<> Replacement::commit(Former what) {
    if (what == Former::kept) {
        const std::string former = file_ + "~";
        ::unlink(former.c_str());
        if (::link(file_.c_str(), former.c_str()) != 0 && errno != ENOENT)
            return fail(Errc::io, fmt::format("{}: {}", former, std::strerror(errno)));
    }
    if (::rename(temporary_.c_str(), file_.c_str()) != 0)
        return fail(Errc::io, fmt::format("{}: {}", file_, std::strerror(errno)));
    temporary_.clear();
    return {};
}

}  // namespace torii::control
