#pragma once
// EditFile: where runtime edits outlive toriid. It lies in the instance's shared-memory directory,
// so a restart of the machine forgets it.
//
// JSON, one object a line: a version first, then what each batch made of the things it touched,
// then "end". A batch whose end is missing was being written when toriid died; it never counted.
// The file is written anew, under another name, when most of it is out of date. One thread.

#include <string>

#include "config/base/error.h"
#include "control/commands.h"
#include "control/edits.h"

namespace torii::control {

class EditFile {
public:
    explicit EditFile(std::string path) : path_(std::move(path)) {}

    /// What the file holds; nothing where there is none. Errc::invalid when it cannot be read: the
    /// caller goes on without edits, and the file is set aside as PATH.bad.
    Result<Edits> load();

    /// Adds a batch that was run.
    Result<> append(const Batch&);
    /// Writes it anew.
    Result<> replace(const Edits&);

private:
    std::string path_;
    size_t lines_ = 0;  ///< in the file
};

/// One line for each thing that is edited, as the file has them. For tests too.
std::string to_lines(const Edits&);

}  // namespace torii::control
