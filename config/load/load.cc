#include "config/load/load.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstring>
#include <iterator>
#include <tuple>

#include "config/check/check.h"
#include "config/load/document.h"
#include "config/load/resolve.h"
#include "config/load/secrets.h"
#include "config/schema/schema.h"

namespace torii::config {
namespace {

constexpr size_t kMaxDiagnostics = 1000;

// The file itself first, then what it includes in the order in which that was read.
void in_file_order(std::vector<Diagnostic>& all, const std::vector<std::string>& files) {
    std::ranges::stable_sort(all, {}, [&](const Diagnostic& d) {
        const auto file = std::ranges::find(files, d.mark.file) - files.begin();
        return std::tuple(file, !d.mark, d.mark.line, d.mark.column);  // without a line: last
    });
    if (all.size() <= kMaxDiagnostics) return;
    const size_t left = all.size() - kMaxDiagnostics;
    all.resize(kMaxDiagnostics);
    all.push_back({{files.front()}, fmt::format("and {} more errors", left)});
}

}  // namespace

Loaded load_text(std::string_view text, const std::string& name) {
    Loaded loaded;
    std::vector<Diagnostic>& all = loaded.diagnostics;
    const Document document = read_document(text, name, all);
    loaded.files = document.files;
    if (document.root) {
        Config config;
        Report report(document.files, all);
        read_config(*document.root, config, report);
        if (document.root->kind == Node::Kind::map) {
            config.include.clear();
            resolve(config);
            std::ranges::move(check(config), std::back_inserter(all));
        }
        if (all.empty()) read_secrets(config, all);
        if (all.empty()) loaded.config = std::move(config);
    }
    in_file_order(all, document.files);
    return loaded;
}

Loaded load_file(const std::string& path) {
    const auto text = read_file(path);
    if (text) return load_text(*text, path);
    return {std::nullopt, {{{path}, std::strerror(text.error())}}, {path}};
}

}  // namespace torii::config
