#include "config/load/load.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <iterator>
#include <tuple>

#include "config/check/check.h"
#include "config/load/resolve.h"
#include "config/load/text.h"
#include "config/schema/schema.h"

namespace torii::config {
namespace {

constexpr size_t kMaxDiagnostics = 1000;

/// Everything in the file, or errno.
tl::expected<std::string, int> read_all(const std::string& path) {
    const int fd = open(path.c_str(), O_RDONLY | O_CLOEXEC);
    if (fd < 0) return tl::unexpected(errno);
    std::string text;
    int failure = 0;
    // One byte more than allowed is enough to know that there is too much; /dev/zero ends here too.
    while (failure == 0 && text.size() <= kMaxBytes) {
        char chunk[64 << 10];
        const ssize_t n = read(fd, chunk, sizeof chunk);
        if (n == 0) break;
        if (n > 0)
            text.append(chunk, size_t(n));
        else if (errno != EINTR)
            failure = errno;
    }
    close(fd);
    if (failure != 0) return tl::unexpected(failure);
    return text;
}

void in_file_order(std::vector<Diagnostic>& all, const std::string& file) {
    std::ranges::stable_sort(all, {}, [](const Diagnostic& d) {
        return std::tuple(!d.mark, d.mark.line, d.mark.column);  // what has no line comes last
    });
    if (all.size() <= kMaxDiagnostics) return;
    const size_t left = all.size() - kMaxDiagnostics;
    all.resize(kMaxDiagnostics);
    all.push_back({{file}, fmt::format("and {} more errors", left)});
}

}  // namespace

Loaded load_text(std::string_view text, const std::string& name) {
    Loaded loaded;
    std::vector<Diagnostic>& all = loaded.diagnostics;
    if (text.size() > kMaxBytes) {
        all.push_back({{name}, fmt::format("more than {} MiB", kMaxBytes >> 20)});
        return loaded;
    }
    if (auto foreign = find_foreign_byte(text, name)) {
        all.push_back(*std::move(foreign));
        return loaded;
    }
    if (auto dense = find_too_dense(text, name)) {
        all.push_back(*std::move(dense));
        return loaded;
    }
    const auto document = parse_yaml(text, name, all);
    if (!document) return loaded;
    Config config;
    Report report(name, all);
    read_config(*document, config, report);
    if (document->kind == Node::Kind::map) {
        resolve(config);
        std::ranges::move(check(config), std::back_inserter(all));
    }
    in_file_order(all, name);
    if (all.empty()) loaded.config = std::move(config);
    return loaded;
}

Loaded load_file(const std::string& path) {
    const auto text = read_all(path);
    if (text) return load_text(*text, path);
    return {std::nullopt, {{{path}, std::strerror(text.error())}}};
}

}  // namespace torii::config
