#pragma once
// Runtime: the configuration's desired state and the edits beside it, and the one way in which
// either changes. What it does is all or nothing: a change that cannot be put into force leaves
// file and edits as they were. One thread.

#include <memory>
#include <string>
#include <vector>

#include "control/commands.h"
#include "control/edit_file.h"

namespace torii::control {

class Runtime {
public:
    /// Puts a desired state into force; an error means that nothing changed.
    using Apply = std::function<Result<>(const Desired&, const Zero&)>;

    /// Reads the edits of a former run. `problem` says why there are none although there were.
    Runtime(std::string edit_file, Machine, std::string& problem);

    /// Another configuration. Edits of what it says otherwise than before are dropped; their number
    /// is returned.
    Result<size_t> configure(Desired file, const Apply&);
    /// Commands, as one change. The error is of the whole batch.
    Result<std::vector<api::IpvsError>> run(std::span<const api::IpvsCommand>, const Apply&);

    /// The configuration with the edits laid over it.
    const Desired& desired() const { return desired_; }
    const Edits& edits() const { return edits_; }
    /// What went wrong with the file that keeps edits, once; empty: nothing.
    std::string take_problem() { return std::exchange(problem_, {}); }

private:
    EditFile keeper_;
    Machine machine_;
    std::unique_ptr<const Desired> file_ = std::make_unique<Desired>();
    FileIndex index_{*file_};
    Edits edits_;
    EditsMemory memory_;
    Desired desired_;
    std::string problem_;
};

}  // namespace torii::control
