#include "control/vrrp/notifier.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <spdlog/spdlog.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>

#include "control/log.h"

namespace torii::control::vrrp {

using torii::vrrp::Role;

std::string_view keepalived_word(Role r) {
    switch (r) {
        case Role::active:
            return "MASTER";
        case Role::backup:
            return "BACKUP";
        case Role::fault:
            return "FAULT";
        case Role::initialize:
            return "STOP";
    }
    return "";
}

namespace {

std::string_view kind_word(Transition::Of of) {
    return of == Transition::Of::group ? "GROUP" : "INSTANCE";
}

const std::vector<std::string>& command_for(const config::VrrpNotify& n, Role r) {
    switch (r) {
        case Role::active:
            return n.active;
        case Role::backup:
            return n.backup;
        case Role::fault:
            return n.fault;
        case Role::initialize:
            break;
    }
    return n.stop;
}

}  // namespace

std::vector<process::Task> tasks_of(const Transition& t, const config::VrrpNotify& n) {
    std::vector<process::Task> tasks;
    const auto add = [&](const std::vector<std::string>& argv) {
        if (argv.empty()) return;
        process::Task task;
        task.program.argv = argv;
        task.program.user = n.user;
        task.program.environment = {
            {"TORII_VRRP_KIND", std::string(kind_word(t.of))},
            {"TORII_VRRP_NAME", t.name},
            {"TORII_VRRP_STATE",
             t.role == Role::initialize ? "stop" : std::string(to_string(t.role))},
            {"TORII_VRRP_REASON", std::string(torii::vrrp::info(t.reason).name)},
            {"TORII_VRRP_PRIORITY", std::to_string(t.priority)},
            {"TORII_VRRP_INTERFACE", t.interface}};
        task.timeout = n.timeout;
        tasks.push_back(std::move(task));
    };
    add(command_for(n, t.role));
    if (!n.any.empty()) {
        auto argv = n.any;
        argv.insert(argv.end(), {std::string(kind_word(t.of)), t.name,
                                 std::string(keepalived_word(t.role)), std::to_string(t.priority)});
        add(argv);
    }
    return tasks;
}

std::string fifo_line(const Transition& t) {
    return fmt::format("{} \"{}\" {} {}\n", kind_word(t.of), t.name, keepalived_word(t.role),
                       t.priority);
}

Notifier::Notifier(boost::asio::io_context& loop) : loop_(loop) {}
Notifier::~Notifier() {
    if (fifo_ >= 0) ::close(fifo_);
}

// Opened for reading too, so that it opens without a reader and is not closed by the last one.
Result<> Notifier::set_fifo(const std::string& path) {
    if (path == fifo_path_) return {};
    if (fifo_ >= 0) ::close(fifo_);
    fifo_ = -1;
    fifo_path_ = path;
    if (path.empty()) return {};
    if (::mkfifo(path.c_str(), 0600) != 0 && errno != EEXIST) return fail_errno(path, errno);
    const int fd = ::open(path.c_str(), O_RDWR | O_NONBLOCK | O_CLOEXEC | O_NOFOLLOW);
    if (fd < 0) return fail_errno(path, errno);
    struct stat st {};
    if (::fstat(fd, &st) != 0 || !S_ISFIFO(st.st_mode)) {
        ::close(fd);
        return fail(Errc::exists, path + " is there and is no named pipe");
    }
    fifo_ = fd;
    return {};
}

void Notifier::write_fifo(const std::string& line) {
    if (fifo_ < 0) return;
    const bool full = ::write(fifo_, line.data(), line.size()) != ssize_t(line.size());
    if (full && !fifo_full_)
        spdlog::warn("event=vrrp_fifo path={} error={}", in_quotes(fifo_path_),
                     in_quotes("nobody reads it: lines are lost"));
    fifo_full_ = full;
}

void Notifier::tell(const Transition& t, const config::VrrpNotify& n) {
    write_fifo(fifo_line(t));
    auto& runner = runners_[fmt::format("{} {}", kind_word(t.of), t.name)];
    if (!runner) runner = std::make_unique<process::Runner>(loop_, 1);
    for (process::Task& task : tasks_of(t, n)) {
        const std::string program = task.program.argv[0];
        runner->run(std::move(task), [program, name = t.name,
                                      state = keepalived_word(t.role)](const process::Outcome& o) {
            using How = process::Outcome::How;
            if (o.how == How::exited && o.status == 0) return;
            const std::string what = o.how == How::exited ? fmt::format("exit status {}", o.status)
                                     : o.how == How::signalled ? fmt::format("signal {}", o.status)
                                     : o.how == How::timed_out ? "timed out"
                                                               : o.problem;
            spdlog::warn("event=vrrp_notify name={} state={} program={} error={} output={}",
                         in_quotes(name), state, in_quotes(program), in_quotes(what),
                         in_quotes(o.output));
        });
    }
}

bool Notifier::idle() const {
    return std::all_of(runners_.begin(), runners_.end(), [](const auto& r) {
        return r.second->running() == 0 && r.second->waiting() == 0;
    });
}

}  // namespace torii::control::vrrp
