#include "control/vrrp/watchers.h"

#include <dirent.h>
#include <fmt/format.h>
#include <spdlog/spdlog.h>
#include <unistd.h>

#include <algorithm>
#include <boost/asio/io_context.hpp>
#include <boost/asio/steady_timer.hpp>
#include <fstream>
#include <optional>

#include "control/log.h"

namespace torii::control::vrrp {

namespace asio = boost::asio;
namespace pure = torii::vrrp;
using Code = boost::system::error_code;
using Clock = std::chrono::steady_clock;

namespace {

constexpr size_t kScriptsAtOnce = 64;

std::string first_bytes(const std::string& path) {
    std::ifstream in(path);
    char room[64];
    in.read(room, sizeof room);
    return {room, size_t(in.gcount())};
}

std::string executable(const std::string& pid) {
    char room[4096];
    const ssize_t n = ::readlink(("/proc/" + pid + "/exe").c_str(), room, sizeof room);
    return n > 0 ? std::string(room, size_t(n)) : std::string();
}

}  // namespace

ProcessCounts count_processes(const std::set<std::string>& names) {
    ProcessCounts counts;
    for (const std::string& n : names) counts[n] = 0;
    const bool paths = std::any_of(names.begin(), names.end(),
                                   [](const auto& n) { return n.find('/') != n.npos; });
    DIR* const directory = ::opendir("/proc");
    if (directory == nullptr) return counts;
    while (const dirent* entry = ::readdir(directory)) {
        const std::string pid = entry->d_name;
        if (pid.find_first_not_of("0123456789") != pid.npos) continue;
        std::string comm = first_bytes("/proc/" + pid + "/comm");
        if (!comm.empty()) comm.pop_back();
        if (const auto it = counts.find(comm); it != counts.end()) ++it->second;
        if (!paths) continue;
        if (const auto it = counts.find(executable(pid)); it != counts.end()) ++it->second;
    }
    ::closedir(directory);
    return counts;
}

struct Watchers::Timer {
    explicit Timer(asio::io_context& loop) : look(loop) {}
    asio::steady_timer look;
    bool running = false;
};

// Shared with its timer and its runs, which may outlive it by a moment.
struct Watchers::Script : std::enable_shared_from_this<Watchers::Script> {
    Script(Watchers& w, Where at, const config::VrrpTrackScript& c)
        : all(w), where(std::move(at)), config(c), timer(w.loop_), streak{c.rise, c.fall} {}

    void run() {
        process::Task task;
        task.program.argv = config.command;
        task.program.user = config.user;
        task.timeout = config.timeout.count() != 0 ? config.timeout : config.interval;
        const auto started = Clock::now();
        id = all.runner_.run(std::move(task),
                             [self = shared_from_this(), started](const process::Outcome& o) {
                                 self->id = 0;
                                 if (self->gone) return;
                                 self->judge(o);
                                 self->again(started + self->config.interval);
                             });
    }
    void judge(const process::Outcome& o) {
        const bool good = o.how == process::Outcome::How::exited && o.status == 0;
        const pure::Health before = streak.health;
        streak = pure::observe(streak, good);
        if (streak.health == before) return;
        spdlog::info("event=vrrp_script instance={} program={} state={} output={}",
                     in_quotes(where.instance), in_quotes(config.command[0]),
                     streak.health == pure::Health::well ? "well" : "ill",
                     in_quotes(o.problem.empty() ? o.output : o.problem));
        tell();
    }
    void again(Clock::time_point at) {
        timer.expires_at(at);
        timer.async_wait([self = shared_from_this()](Code error) {
            if (!error && !self->gone) self->run();
        });
    }
    void tell() { all.changed_(where, streak.health, 0); }
    void stop() {
        gone = true;
        timer.cancel();
        if (id != 0) all.runner_.cancel(id);
    }

    Watchers& all;
    Where where;
    config::VrrpTrackScript config;
    asio::steady_timer timer;
    pure::Streak streak;
    process::Runner::Id id = 0;
    bool gone = false;
};

struct Watchers::File {
    config::VrrpTrackFile config;
    std::optional<int> number;
};

struct Watchers::Process {
    config::VrrpTrackProcess config;
    pure::Health health = pure::Health::unknown;
    Clock::time_point differs_since = Clock::time_point::max();
};

Watchers::Watchers(asio::io_context& loop, Changed changed)
    : loop_(loop),
      changed_(std::move(changed)),
      runner_(loop, kScriptsAtOnce),
      timer_(std::make_unique<Timer>(loop)) {}

Watchers::~Watchers() {
    for (auto& [where, script] : scripts_) script->stop();
}

void Watchers::set(const std::vector<config::VrrpInstance>& instances) {
    std::map<Where, std::shared_ptr<Script>> scripts;
    std::map<Where, File> files;
    std::map<Where, Process> processes;
    for (const config::VrrpInstance& i : instances) {
        Where at{i.name, uint32_t(i.track.interfaces.size())};
        for (const auto& c : i.track.scripts) {
            const auto it = scripts_.find(at);
            if (it != scripts_.end() && it->second->config == c)
                scripts.insert(scripts_.extract(it));
            else
                (scripts[at] = std::make_shared<Script>(*this, at, c))->run();
            ++at.item;
        }
        for (const auto& c : i.track.files) {
            const auto it = files_.find(at);
            files[at] = it != files_.end() && it->second.config == c ? it->second : File{c, {}};
            ++at.item;
        }
        for (const auto& c : i.track.processes) {
            const auto it = processes_.find(at);
            processes[at] =
                it != processes_.end() && it->second.config == c ? it->second : Process{c};
            ++at.item;
        }
    }
    for (auto& [where, script] : scripts_) script->stop();
    scripts_ = std::move(scripts);
    files_ = std::move(files);
    processes_ = std::move(processes);
    for (const auto& [where, s] : scripts_)
        if (s->streak.health != pure::Health::unknown) s->tell();
    for (const auto& [where, f] : files_)
        if (f.number) changed_(where, pure::Health::well, *f.number);
    for (const auto& [where, p] : processes_)
        if (p.health != pure::Health::unknown) changed_(where, p.health, 0);
    look();
    look_later();
}

void Watchers::look() {
    for (auto& [where, f] : files_) {
        const int number = pure::parse_track_file(first_bytes(f.config.path));
        if (f.number == number) continue;
        f.number = number;
        changed_(where, pure::Health::well, number);
    }
    if (processes_.empty()) return;
    std::set<std::string> names;
    for (const auto& [where, p] : processes_) names.insert(p.config.name);
    const ProcessCounts counts = count_processes(names);
    const auto now = Clock::now();
    for (auto& [where, p] : processes_) {
        const auto health =
            counts.at(p.config.name) >= p.config.quorum ? pure::Health::well : pure::Health::ill;
        if (health == p.health) {
            p.differs_since = Clock::time_point::max();
            continue;
        }
        p.differs_since = std::min(p.differs_since, now);
        if (p.health != pure::Health::unknown && now - p.differs_since < p.config.delay) continue;
        p.health = health;
        p.differs_since = Clock::time_point::max();
        changed_(where, health, 0);
    }
}

void Watchers::look_later() {
    if (timer_->running || (files_.empty() && processes_.empty())) return;
    timer_->running = true;
    timer_->look.expires_after(kLook);
    timer_->look.async_wait([this](Code error) {
        if (error) return;
        timer_->running = false;
        look();
        look_later();
    });
}

}  // namespace torii::control::vrrp
