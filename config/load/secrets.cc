#include "config/load/secrets.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>

#include "config/base/error.h"

namespace torii::config {
namespace {

constexpr size_t kLongest = 8;  // characters of VRRP version 2's password

/// The first line of an open file, or what is wrong with the file.
Result<std::string> first_line(int fd) {
    struct stat about {};
    if (fstat(fd, &about) != 0) return fail(Errc::io, std::strerror(errno));
    if (!S_ISREG(about.st_mode)) return fail(Errc::invalid, "it is not a file");
    if ((about.st_mode & 077) != 0)
        return fail(Errc::invalid, fmt::format("its mode is {:04o}: others than its owner may use "
                                               "it; chmod 600",
                                               about.st_mode & 07777));
    char text[64];
    const ssize_t n = read(fd, text, sizeof text);
    if (n < 0) return fail(Errc::io, std::strerror(errno));
    std::string line(text, size_t(n));
    line.resize(std::min(line.find('\n'), line.size()));
    if (line.ends_with('\r')) line.pop_back();
    if (line.empty() || line.size() > kLongest)
        return fail(Errc::invalid, fmt::format("its first line must be 1 to {} characters, and has "
                                               "{}",
                                               kLongest, line.size()));
    return line;
}

Result<std::string> read_secret(const std::string& path) {
    const int fd = open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    if (fd < 0) return fail(Errc::io, std::strerror(errno));
    auto line = first_line(fd);
    close(fd);
    return line;
}

}  // namespace

void read_secrets(Config& config, std::vector<Diagnostic>& diagnostics) {
    for (VrrpInstance& instance : config.vrrp.instances) {
        VrrpAuthentication& a = instance.authentication;
        if (a.type != VrrpAuth::pass || a.secret_file.empty()) continue;
        auto secret = read_secret(a.secret_file);
        if (secret)
            a.secret = *std::move(secret);
        else
            diagnostics.push_back(
                {a.secret_file_mark,
                 fmt::format("secret_file {}: {}", a.secret_file, secret.error().message)});
    }
}

}  // namespace torii::config
