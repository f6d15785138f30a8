#include "dataplane/shm/control_block.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <linux/futex.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cerrno>
#include <climits>
#include <ctime>

namespace torii::shm {
namespace {

constexpr uint64_t kPage = 4096;
static_assert(sizeof(ControlBlock) <= kPage);

// Open file description locks: like flock(2)'s they end with the holder, and they can be asked for
// without being taken.
struct flock whole_file(short type) {
    struct flock l {};
    l.l_type = type;
    l.l_whence = SEEK_SET;
    return l;
}

}  // namespace

Result<Mapping> open_control(const Location& location) {
    return open_kept(location, "control", kPage, Kind::control, kControlLayout);
}

void announce(ControlBlock& block) {
    block.published.fetch_add(1);
    ::syscall(SYS_futex, &block.published, FUTEX_WAKE, INT_MAX, nullptr, nullptr, 0);
}

void wait_published(ControlBlock& block, uint32_t seen, int milliseconds) {
    const timespec limit{milliseconds / 1000, (milliseconds % 1000) * 1'000'000L};
    ::syscall(SYS_futex, &block.published, FUTEX_WAIT, seen, &limit, nullptr, 0);
}

Result<Lock> Lock::acquire(const Location& location, std::string_view name,
                           std::chrono::milliseconds patience) {
    if (auto made = location.create(); !made) return tl::unexpected(made.error());
    const std::string path = location.path(fmt::format("{}.lock", name));
    const int fd = ::open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0640);
    if (fd < 0) return fail_errno(path, errno);
    const auto deadline = std::chrono::steady_clock::now() + patience;
    struct flock whole = whole_file(F_WRLCK);
    while (::fcntl(fd, F_OFD_SETLK, &whole) != 0) {
        const int e = errno;
        const bool taken = e == EAGAIN || e == EACCES;
        if (e == EINTR) continue;
        if (taken && std::chrono::steady_clock::now() < deadline) {
            ::usleep(10'000);
            continue;
        }
        ::close(fd);
        if (taken)
            return fail(Errc::busy,
                        fmt::format("{}: another {} runs for this instance", path, name));
        return fail_errno(path, e);
    }
    return Lock(fd);
}

bool Lock::held(const Location& location, std::string_view name) {
    const int fd = ::open(location.path(fmt::format("{}.lock", name)).c_str(), O_RDWR | O_CLOEXEC);
    if (fd < 0) return false;
    // Asking takes nothing: a daemon that starts at this moment is not refused because of us.
    struct flock whole = whole_file(F_WRLCK);
    const bool taken = ::fcntl(fd, F_OFD_GETLK, &whole) == 0 && whole.l_type != F_UNLCK;
    ::close(fd);
    return taken;
}

Lock::Lock(Lock&& o) noexcept : fd_(std::exchange(o.fd_, -1)) {}
Lock& Lock::operator=(Lock&& o) noexcept {
    std::swap(fd_, o.fd_);
    return *this;
}
Lock::~Lock() {
    if (fd_ >= 0) ::close(fd_);
}

}  // namespace torii::shm
