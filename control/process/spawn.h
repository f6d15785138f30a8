#pragma once
// Starting a program without a shell, as another user if wanted, in a process group of its own.
//
// The child shares the parent's memory until it has become the program (vfork), so that a start
// costs the same however large toriid is, and its failure is simply a variable. Nothing of the
// parent reaches it: no descriptor but the three, no signal setting, no real-time priority, no
// environment but what is given.

#include <sys/types.h>

#include <string>
#include <utility>
#include <vector>

#include "config/base/error.h"

namespace torii::process {

/// A user to become, looked up before the start: reading the user database may take time.
struct Identity {
    uid_t uid = 0;
    gid_t gid = 0;
    std::vector<gid_t> groups;
    std::string home = "/";
    std::string name = "root";
};
/// Errc::not_found when there is no such user.
Result<Identity> find_user(const std::string& name);

struct Program {
    std::vector<std::string> argv;  ///< argv[0] is the path of the file
    std::vector<std::pair<std::string, std::string>> environment;  ///< beside PATH, HOME and USER
    std::string user;  ///< empty: as whoever runs this process
};

/// A child that was started. The caller reaps `pid`, which also names its process group.
struct Child {
    pid_t pid = -1;
    int pidfd = -1;   ///< readable when the child has ended; close it
    int output = -1;  ///< the reading, non-blocking end of its stdout and stderr; close it
};
/// The sentence names the step that failed: no such file, not executable, no such user.
Result<Child> spawn(const Program&);

}  // namespace torii::process
