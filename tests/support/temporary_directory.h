#pragma once
// A directory of the test's own under /dev/shm, gone when the object is.

#include <cstdlib>
#include <filesystem>
#include <string>

namespace torii::test {

class TemporaryDirectory {
public:
    TemporaryDirectory() {
        char name[] = "/dev/shm/torii-test-XXXXXX";
        path_ = ::mkdtemp(name);
    }
    TemporaryDirectory(const TemporaryDirectory&) = delete;
    ~TemporaryDirectory() {
        std::error_code ignored;
        std::filesystem::remove_all(path_, ignored);
    }
    const std::string& path() const { return path_; }

private:
    std::string path_;
};

}  // namespace torii::test
