#include "control/process/spawn.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <grp.h>
#include <linux/close_range.h>
#include <pwd.h>
#include <sched.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <csignal>
#include <optional>

namespace torii::process {
namespace {

constexpr const char* kPath = "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

enum class Step : int { none, group, user, descriptors, directory, program };

std::string_view to_string(Step s) {
    switch (s) {
        case Step::group:
            return "cannot make a process group";
        case Step::user:
            return "cannot become the user";
        case Step::descriptors:
            return "cannot arrange its descriptors";
        case Step::directory:
            return "cannot change to /";
        case Step::none:
        case Step::program:
            return "cannot be run";
    }
    return "cannot be run";
}

/// What the child needs, made beforehand: it must not allocate.
struct Plan {
    const char* path;
    char* const* argv;
    char* const* environment;
    const Identity* become;  ///< null: stay
    int input, output;
};

struct Failure {
    Step step = Step::none;
    int error = 0;
};

// glibc's own setuid() would make every thread of the parent follow; the system call does not.
bool become(const Identity& who) {
    return ::syscall(SYS_setgroups, who.groups.size(), who.groups.data()) == 0 &&
           ::syscall(SYS_setresgid, who.gid, who.gid, who.gid) == 0 &&
           ::syscall(SYS_setresuid, who.uid, who.uid, who.uid) == 0;
}

// A handler of the parent must not run in the child, whose memory is the parent's.
void forget_signals() {
    struct sigaction standard {};
    standard.sa_handler = SIG_DFL;
    for (int n = 1; n < NSIG; ++n) ::sigaction(n, &standard, nullptr);
    sigset_t none;
    sigemptyset(&none);
    ::sigprocmask(SIG_SETMASK, &none, nullptr);
}

/// Runs in the child: only system calls. Returns only when it failed.
Failure become_program(const Plan& plan) {
    if (::setpgid(0, 0) != 0) return {Step::group, errno};
    const sched_param ordinary{};
    ::syscall(SYS_sched_setscheduler, 0, SCHED_OTHER, &ordinary);
    ::syscall(SYS_setpriority, PRIO_PROCESS, 0, 0);
    if (::dup2(plan.input, 0) < 0 || ::dup2(plan.output, 1) < 0 || ::dup2(plan.output, 2) < 0 ||
        ::syscall(SYS_close_range, 3u, ~0u, 0u) != 0)
        return {Step::descriptors, errno};
    if (::chdir("/") != 0) return {Step::directory, errno};
    if (plan.become != nullptr && !become(*plan.become)) return {Step::user, errno};
    forget_signals();
    ::execve(plan.path, plan.argv, plan.environment);
    return {Step::program, errno};
}

/// Both run on one stack, hence nothing else may happen in this function.
[[gnu::noinline]] pid_t fork_program(const Plan& plan, volatile int& step, volatile int& error) {
    const pid_t pid = ::vfork();
    if (pid != 0) return pid;
    const Failure f = become_program(plan);
    step = int(f.step);
    error = f.error;
    ::_exit(127);
}

class Descriptor {
public:
    explicit Descriptor(int fd) : fd_(fd) {}
    Descriptor(const Descriptor&) = delete;
    Descriptor& operator=(const Descriptor&) = delete;
    ~Descriptor() {
        if (fd_ >= 0) ::close(fd_);
    }
    int get() const { return fd_; }
    int release() { return std::exchange(fd_, -1); }

private:
    int fd_;
};

std::vector<char*> pointers(std::vector<std::string>& words) {
    std::vector<char*> all;
    for (std::string& w : words) all.push_back(w.data());
    all.push_back(nullptr);
    return all;
}

std::vector<std::string> environment_of(const Program& program, const Identity* who) {
    std::vector<std::string> all{kPath};
    all.push_back("HOME=" + (who ? who->home : std::string("/")));
    all.push_back("USER=" + (who ? who->name : std::string("root")));
    for (const auto& [name, value] : program.environment)
        all.push_back(fmt::format("{}={}", name, value));
    return all;
}

}  // namespace

Result<Identity> find_user(const std::string& name) {
    std::array<char, 16384> space;
    passwd entry{};
    passwd* found = nullptr;
    const int error = ::getpwnam_r(name.c_str(), &entry, space.data(), space.size(), &found);
    if (found == nullptr)
        return error == 0 ? fail(Errc::not_found, fmt::format("there is no user '{}'", name))
                          : fail_errno(fmt::format("user '{}'", name), error);
    Identity who{entry.pw_uid, entry.pw_gid, {}, entry.pw_dir, name};
    int count = 64;
    who.groups.resize(size_t(count));
    if (::getgrouplist(name.c_str(), entry.pw_gid, who.groups.data(), &count) < 0) {
        who.groups.resize(size_t(count));
        ::getgrouplist(name.c_str(), entry.pw_gid, who.groups.data(), &count);
    }
    who.groups.resize(size_t(std::max(count, 0)));
    return who;
}

Result<Child> spawn(const Program& program) {
    if (program.argv.empty()) return fail(Errc::invalid, "there is no command to run");
    std::optional<Identity> who;
    if (!program.user.empty()) {
        auto found = find_user(program.user);
        if (!found) return tl::unexpected(found.error());
        who = std::move(*found);
    }
    std::vector<std::string> words = program.argv;
    std::vector<std::string> settings = environment_of(program, who ? &*who : nullptr);
    const std::vector<char*> argv = pointers(words), environment = pointers(settings);
    int ends[2];
    if (::pipe2(ends, O_CLOEXEC) != 0) return fail_errno("pipe", errno);
    Descriptor reading(ends[0]), writing(ends[1]);
    ::fcntl(reading.get(), F_SETFL, O_NONBLOCK);
    const Descriptor null(::open("/dev/null", O_RDONLY | O_CLOEXEC));
    if (null.get() < 0) return fail_errno("/dev/null", errno);
    const Plan plan{words[0].c_str(),      argv.data(), environment.data(),
                    who ? &*who : nullptr, null.get(),  writing.get()};

    sigset_t all, before;
    sigfillset(&all);
    ::pthread_sigmask(SIG_SETMASK, &all, &before);
    volatile int step = 0, error = 0;
    const pid_t pid = fork_program(plan, step, error);
    const int not_forked = errno;
    ::pthread_sigmask(SIG_SETMASK, &before, nullptr);

    if (pid < 0) return fail_errno("cannot start another process", not_forked);
    if (step != 0) {
        ::waitpid(pid, nullptr, 0);
        return fail_errno(fmt::format("{} {}", words[0], to_string(Step(int(step)))), error);
    }
    const int pidfd = int(::syscall(SYS_pidfd_open, pid, 0));
    if (pidfd < 0) {
        const int reason = errno;
        ::kill(-pid, SIGKILL);
        ::waitpid(pid, nullptr, 0);
        return fail_errno("pidfd_open", reason);
    }
    return Child{pid, pidfd, reading.release()};
}

}  // namespace torii::process
