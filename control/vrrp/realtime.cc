#include "control/vrrp/realtime.h"

#include <pthread.h>
#include <sched.h>
#include <sys/mman.h>
#include <sys/resource.h>

#include <cerrno>
#include <csignal>
#include <cstring>
#include <future>

namespace torii::control::vrrp {
namespace {

constexpr size_t kStack = 128 << 10;

[[gnu::noinline]] void touch_stack() {
    [[maybe_unused]] volatile char room[kStack];
    for (size_t i = 0; i < kStack; i += 1024) room[i] = 0;
}

}  // namespace

Result<> lock_memory() {
    const rlimit all{RLIM_INFINITY, RLIM_INFINITY};
    // With a limit, a lock on what is still to come would make allocations fail.
    const int future = setrlimit(RLIMIT_MEMLOCK, &all) == 0 ? MCL_FUTURE : 0;
    if (mlockall(MCL_CURRENT | future | MCL_ONFAULT) != 0)
        return fail_errno("cannot lock memory: VRRP may be late when memory is scarce", errno);
    return {};
}

Result<> become_punctual(const char* name, unsigned priority) {
    pthread_setname_np(pthread_self(), name);
    sigset_t all;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, nullptr);
    touch_stack();
    if (priority == 0) return {};
    sched_param p{};
    p.sched_priority = int(priority);
    // A child that is started from here would not be real-time.
    if (sched_setscheduler(0, SCHED_FIFO | SCHED_RESET_ON_FORK, &p) != 0)
        return fail_errno("no real-time priority: VRRP may be late when the CPU is busy", errno);
    return {};
}

std::thread start_punctual(const char* name, unsigned priority, std::function<void()> work,
                           std::string& warning) {
    std::promise<std::string> begun;
    auto said = begun.get_future();
    std::thread thread([&begun, name, priority, work = std::move(work)] {
        const auto ok = become_punctual(name, priority);
        begun.set_value(ok ? "" : ok.error().message);
        work();
    });
    warning = said.get();
    return thread;
}

}  // namespace torii::control::vrrp
