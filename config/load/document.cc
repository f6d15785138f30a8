#include "config/load/document.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <glob.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <unordered_map>

#include "config/load/text.h"
#include "config/schema/key.h"

namespace torii::config {
namespace {

constexpr std::string_view kInclude = "include";
constexpr size_t kMergeDepth = 2;  // the file's own keys, and those of its sections

std::string directory_of(const std::string& file) {
    const auto slash = file.rfind('/');
    return slash == file.npos ? std::string() : file.substr(0, slash + 1);
}

class Reader {
public:
    explicit Reader(std::vector<Diagnostic>& all) : all_(all) {}

    std::optional<Node> read(std::string_view text, const std::string& name) {
        const auto number = uint16_t(files_.size());
        files_.push_back(name);
        auto root = parse(text, name, number);
        if (!root || root->kind != Node::Kind::map) return root;
        open_.push_back(name);
        const bool whole = include_all(*root, number);
        open_.pop_back();
        return whole ? std::move(root) : std::nullopt;
    }
    std::vector<std::string> files() && { return std::move(files_); }

private:
    void complain(const Node& at, std::string message) {
        all_.push_back({{files_[at.file], at.line, at.column}, std::move(message)});
    }

    std::optional<Node> parse(std::string_view text, const std::string& name, uint16_t number) {
        bytes_ += text.size();
        if (bytes_ > kMaxBytes) {
            all_.push_back({{name}, fmt::format("more than {} MiB", kMaxBytes >> 20)});
            return std::nullopt;
        }
        if (auto foreign = find_foreign_byte(text, name)) {
            all_.push_back(*std::move(foreign));
            return std::nullopt;
        }
        if (auto dense = find_too_dense(text, name)) {
            all_.push_back(*std::move(dense));
            return std::nullopt;
        }
        return parse_yaml(text, name, all_, number);
    }

    // Follows the root's `include`, which stays there for the table of keys to judge.
    bool include_all(Node& root, uint16_t number) {
        std::vector<Node> patterns;
        for (size_t i = 0; i + 1 < root.items.size(); i += 2) {
            if (root.items[i].text != kInclude) continue;
            const Node& value = root.items[i + 1];
            if (value.kind == Node::Kind::scalar) patterns.push_back(value);
            for (const Node& item : value.items)
                if (item.kind == Node::Kind::scalar) patterns.push_back(item);
            break;
        }
        bool whole = true;
        for (const Node& pattern : patterns)
            for (const std::string& path : match(pattern, directory_of(files_[number])))
                whole &= include_one(root, pattern, path);
        return whole;
    }

    std::vector<std::string> match(const Node& pattern, const std::string& directory) {
        if (pattern.text.empty()) return {};
        const std::string full = pattern.text[0] == '/' ? pattern.text : directory + pattern.text;
        if (pattern.text.find_first_of("*?[") == pattern.text.npos) return {full};
        std::vector<std::string> found;
        glob_t names{};
        if (glob(full.c_str(), 0, nullptr, &names) == 0)
            found.assign(names.gl_pathv, names.gl_pathv + names.gl_pathc);
        globfree(&names);
        return found;
    }

    bool include_one(Node& root, const Node& at, const std::string& path) {
        if (files_.size() >= kMaxFiles)
            return complain(at, fmt::format("more than {} files", kMaxFiles)), false;
        if (open_.size() >= kMaxIncludeDepth)
            return complain(at, fmt::format("files include each other more than {} deep",
                                            kMaxIncludeDepth)),
                   false;
        if (std::ranges::find(open_, path) != open_.end())
            return complain(at, fmt::format("{} includes itself", path)), false;
        const auto text = read_file(path);
        if (!text)
            return complain(at, fmt::format("{}: {}", path, std::strerror(text.error()))), false;
        auto included = read(*text, path);
        if (!included) return false;
        if (included->kind == Node::Kind::null) return true;  // an empty file says nothing
        if (included->kind != Node::Kind::map)
            return complain(*included, "an included file must be a mapping"), false;
        merge(root, std::move(*included), kMergeDepth);
        return true;
    }

    // Positions in the mapping's items, by key.
    using Places = std::unordered_map<std::string, size_t>;

    void merge(Node& into, Node&& from, size_t depth) {
        Places places;
        for (size_t i = 0; i + 1 < into.items.size(); i += 2)
            if (into.items[i].kind == Node::Kind::scalar) places.emplace(into.items[i].text, i + 1);
        for (size_t i = 0; i + 1 < from.items.size(); i += 2) {
            Node& key = from.items[i];
            Node& value = from.items[i + 1];
            if (depth == kMergeDepth && key.text == kInclude) continue;
            const auto [place, fresh] = places.emplace(key.text, into.items.size() + 1);
            if (fresh) {
                into.items.push_back(std::move(key));
                into.items.push_back(std::move(value));
            } else {
                merge_value(key, into.items[place->second], std::move(value), depth);
            }
        }
    }

    void merge_value(const Node& key, Node& there, Node&& value, size_t depth) {
        if (there.kind == Node::Kind::list && value.kind == there.kind)
            std::ranges::move(value.items, std::back_inserter(there.items));
        else if (depth > 1 && there.kind == Node::Kind::map && value.kind == there.kind)
            merge(there, std::move(value), depth - 1);
        else
            complain(key, fmt::format("{} is already given at {}:{}:{}", in_quotes(key.text),
                                      files_[there.file], there.line, there.column));
    }

    std::vector<Diagnostic>& all_;
    std::vector<std::string> files_, open_;
    size_t bytes_ = 0;
};

}  // namespace

Document read_document(std::string_view text, const std::string& name,
                       std::vector<Diagnostic>& all) {
    Reader reader(all);
    Document document;
    document.root = reader.read(text, name);
    document.files = std::move(reader).files();
    return document;
}

tl::expected<std::string, int> read_file(const std::string& path) {
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

}  // namespace torii::config
