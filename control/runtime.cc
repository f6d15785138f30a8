#include "control/runtime.h"

#include <fmt/format.h>

namespace torii::control {
namespace {

size_t count(const Edits& edits) {
    size_t n = 0;
    for (const auto& [key, e] : edits.services) n += e->destinations.size() + e->edited;
    for (const auto& t : edits.timeouts) n += t.has_value();
    return n;
}

}  // namespace

Runtime::Runtime(std::string edit_file, Machine machine, std::string& problem)
    : keeper_(std::move(edit_file)), machine_(std::move(machine)) {
    auto edits = keeper_.load();
    if (edits)
        edits_ = std::move(*edits);
    else
        problem = "edits of the former run are lost: " + edits.error().message;
}

Result<size_t> Runtime::configure(Desired file, const Apply& apply) {
    auto next = std::make_unique<const Desired>(std::move(file));
    Edits kept = keep_beside(*next, edits_);
    Desired laid = apply_edits(*next, kept, memory_);
    if (auto ok = apply(laid, {}); !ok) return tl::unexpected(ok.error());
    desired_ = std::move(laid);
    const size_t dropped = count(edits_) - count(kept);
    file_ = std::move(next);
    index_ = FileIndex(*file_);
    const bool changed = !(kept == edits_);
    edits_ = std::move(kept);
    if (changed)
        if (auto ok = keeper_.replace(edits_); !ok) problem_ = ok.error().message;
    return dropped;
}

Result<std::vector<api::IpvsError>> Runtime::run(std::span<const api::IpvsCommand> commands,
                                                 const Apply& apply) {
    Batch batch = control::run(*file_, index_, edits_, commands, machine_);
    if (!batch.changes() && !batch.zero.any()) return std::move(batch.errors);
    Desired laid = apply_edits(*file_, batch.edits, memory_);
    if (auto ok = apply(laid, batch.zero); !ok) return tl::unexpected(ok.error());
    desired_ = std::move(laid);
    if (batch.changes())
        if (auto ok = keeper_.append(batch); !ok) problem_ = ok.error().message;
    edits_ = std::move(batch.edits);
    return std::move(batch.errors);
}

}  // namespace torii::control
