// torii-dataplane: owns the ports, the cores that forward and the connection table. Everything it
// knows of services and routes it reads from shared memory.

#include <fmt/format.h>
#include <signal.h>
#include <spdlog/spdlog.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include <cstdio>

#include "dataplane/io/log.h"
#include "dataplane/io/options.h"
#include "dataplane/io/preparation.h"
#include "dataplane/io/supervisor.h"
#include "dataplane/pipeline.h"
#include "dataplane/xdp/steering.h"

namespace {

using namespace torii;

int complain(const std::string& message) {
    fmt::print(stderr, "{}\n", message);
    return 1;
}

// Blocked in every thread: the main thread reads the signals from a descriptor.
int signals() {
    sigset_t set;
    sigemptyset(&set);
    sigaddset(&set, SIGTERM);
    sigaddset(&set, SIGINT);
    ::pthread_sigmask(SIG_BLOCK, &set, nullptr);
    return ::signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
}

int serve(const io::Options& options) {
    if (auto ok = io::start_log(options.log_level); !ok) return complain(ok.error().message);
    const auto prepared = io::prepare(options);
    if (!prepared) return complain(prepared.error().message);
    const int stop = signals();
    if (auto ok = xdp::raise_memlock(); !ok)
        spdlog::warn("event=memlock message={}", io::in_quotes(ok.error().message));
    spdlog::info("event=starting version={} instance={} config={} pid={}", TORII_VERSION,
                 prepared->config.instance, io::in_quotes(options.config_file), ::getpid());
    io::Supervisor supervisor(*prepared, options.fresh_table);
    if (auto ok = supervisor.start(); !ok)
        return complain("torii-dataplane: " + ok.error().message);
    supervisor.run(stop);
    supervisor.stop();
    return 0;
}

}  // namespace

int main(int argc, char** argv) {
    const auto options = io::parse_command_line(argc, argv);
    if (!options) return complain("torii-dataplane: " + options.error().message + "\nTry --help.");
    if (options->help) {
        fmt::print("{}", io::usage());
        return 0;
    }
    if (options->version) {
        fmt::print("torii-dataplane {}\n", TORII_VERSION);
        return 0;
    }
    if (options->print_pipeline) {
        for (const dataplane::Pass& pass : dataplane::passes_in_order())
            for (const dataplane::Step& step : pass.steps)  // + : in the same pass over the burst
                fmt::print("{} {:<14} {}\n", &step == pass.steps.data() ? ' ' : '+', step.name,
                           step.does);
        return 0;
    }
    return serve(*options);
}
