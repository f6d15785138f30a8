#include "dataplane/io/preparation.h"

#include <fmt/format.h>

#include "config/check/check.h"
#include "config/load/load.h"
#include "dataplane/shm/control_block.h"

namespace torii::io {
namespace {

using config::Config;
using config::Diagnostic;

tl::unexpected<Error> report(std::span<const Diagnostic> diagnostics) {
    std::string text = config::format(diagnostics);
    if (text.ends_with('\n')) text.pop_back();
    return fail(Errc::invalid, std::move(text));
}

Result<Config> load(const Options& o) {
    config::Loaded loaded = config::load_file(o.config_file);
    if (!loaded.config) return report(loaded.diagnostics);
    if (!o.instance.empty()) {
        if (!config::is_instance_name(o.instance))
            return fail(Errc::invalid,
                        fmt::format("'{}' cannot be the name of an instance: 1 to 32 letters, "
                                    "digits, '_' and '-'",
                                    o.instance));
        config::set_instance(*loaded.config, o.instance);
    }
    auto machine = config::check_machine(*loaded.config, config::this_machine());
    if (!machine.empty()) return report(machine);
    return std::move(*loaded.config);
}

}  // namespace

Result<Preparation> prepare(const Options& o) {
    auto loaded = load(o);
    if (!loaded) return tl::unexpected(loaded.error());
    Preparation p{std::move(*loaded), {}, {}, {}};
    const config::Dataplane& d = p.config.dataplane;
    if (d.ports.empty())
        return fail(Errc::invalid, fmt::format("{}: there are no 'dataplane.ports', so there is "
                                               "nothing to do: VRRP alone needs toriid only",
                                               o.config_file));
    p.cores = config::worker_cores(d, config::this_machine().cpus);
    if (p.cores.size() > shm::kMaxWorkers || d.ports.size() > shm::kMaxPorts)
        return fail(Errc::invalid, fmt::format("{}: at most {} workers and {} ports", o.config_file,
                                               shm::kMaxWorkers, shm::kMaxPorts));
    std::vector<Diagnostic> wrong;
    for (const config::Port& port : d.ports) {
        const auto plan = driver_of(port.driver).plan(port, unsigned(p.cores.size()));
        if (plan)
            p.plans.push_back(*plan);
        else
            wrong.push_back({port.mark, plan.error().message});
    }
    if (!wrong.empty()) return report(wrong);
    p.memory = packet_memory(p.plans, unsigned(p.cores.size()));
    if (auto huge = check_huge_pages(d.hugepages, p.memory.bytes()); !huge) {
        const Diagnostic lack{{o.config_file}, huge.error().message};
        return report({&lack, 1});
    }
    return p;
}

}  // namespace torii::io
