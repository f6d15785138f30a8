#include <fmt/format.h>
#include <yaml-cpp/eventhandler.h>
#include <yaml-cpp/yaml.h>

#include <algorithm>
#include <istream>
#include <map>
#include <streambuf>

#include "config/schema/node.h"

namespace torii::config {
namespace {

/// Thrown through yaml-cpp's parser, to leave it; caught in parse_yaml().
struct Refused {
    int line, column;
    std::string message;
};

/// Reads the text where it lies; std::istringstream would copy it once more.
struct View : std::streambuf {
    explicit View(std::string_view text) {
        char* begin = const_cast<char*>(text.data());
        setg(begin, begin, begin + text.size());
    }
};

/// Builds the tree from the parser's events. Containers that are still open are on `open_`.
class Builder : public YAML::EventHandler {
public:
    explicit Builder(uint16_t file) : file_(file) {}
    Node root;

    void OnDocumentStart(const YAML::Mark&) override {}
    void OnDocumentEnd() override {}
    void OnNull(const YAML::Mark& at, YAML::anchor_t anchor) override {
        Node node = make(at, Node::Kind::null);
        // yaml-cpp gives the place of whatever follows: the key before is where the operator looks.
        if (!open_.empty() && open_.back().node.kind == Node::Kind::map &&
            open_.back().node.items.size() % 2 == 1) {
            node.line = open_.back().node.items.back().line;
            node.column = open_.back().node.items.back().column;
        }
        add(std::move(node), anchor);
    }
    void OnAlias(const YAML::Mark& at, YAML::anchor_t anchor) override {
        const auto known = anchors_.find(anchor);
        if (known == anchors_.end())
            throw Refused{at.line + 1, at.column + 1,
                          "an alias cannot stand within its own anchor"};
        count_ += known->second.size;
        bound(at);
        add(Node(known->second.node), 0);
    }
    void OnScalar(const YAML::Mark& at, const std::string&, YAML::anchor_t anchor,
                  const std::string& value) override {
        Node node = make(at, Node::Kind::scalar);
        node.text = value;
        add(std::move(node), anchor);
    }
    void OnSequenceStart(const YAML::Mark& at, const std::string&, YAML::anchor_t anchor,
                         YAML::EmitterStyle::value) override {
        open(at, Node::Kind::list, anchor);
    }
    void OnSequenceEnd() override { close(); }
    void OnMapStart(const YAML::Mark& at, const std::string&, YAML::anchor_t anchor,
                    YAML::EmitterStyle::value) override {
        open(at, Node::Kind::map, anchor);
    }
    void OnMapEnd() override { close(); }

private:
    struct Open {
        Node node;
        YAML::anchor_t anchor;
        size_t first;  // count_ when it was opened
    };
    struct Anchored {
        Node node;
        size_t size;
    };

    Node make(const YAML::Mark& at, Node::Kind kind) {
        ++count_;
        bound(at);
        Node node;
        node.kind = kind;
        node.file = file_;
        node.line = at.line + 1;
        node.column = at.column + 1;
        return node;
    }
    void bound(const YAML::Mark& at) const {
        if (count_ > kMaxNodes)
            throw Refused{at.line + 1, at.column + 1,
                          fmt::format("more than {} values, with aliases expanded", kMaxNodes)};
    }
    void open(const YAML::Mark& at, Node::Kind kind, YAML::anchor_t anchor) {
        if (open_.size() == kMaxDepth)
            throw Refused{at.line + 1, at.column + 1,
                          fmt::format("nested more than {} levels deep", kMaxDepth)};
        const size_t first = count_;
        open_.push_back({make(at, kind), anchor, first});
    }
    void close() {
        Open done = std::move(open_.back());
        open_.pop_back();
        add(std::move(done.node), done.anchor, count_ - done.first);
    }
    void add(Node&& node, YAML::anchor_t anchor, size_t size = 1) {
        if (anchor != 0) {
            count_ += size;  // the copy that is kept for aliases is memory too
            anchors_[anchor] = {node, size};
        }
        (open_.empty() ? root : open_.back().node.items.emplace_back()) = std::move(node);
    }

    uint16_t file_;
    std::vector<Open> open_;
    std::map<YAML::anchor_t, Anchored> anchors_;
    size_t count_ = 0;
};

}  // namespace

std::string_view to_string(Node::Kind kind) {
    switch (kind) {
        case Node::Kind::null:
            return "nothing";
        case Node::Kind::scalar:
            return "text";
        case Node::Kind::list:
            return "a list";
        case Node::Kind::map:
            return "a mapping";
    }
    return "unknown";
}

std::optional<Node> parse_yaml(std::string_view text, const std::string& file,
                               std::vector<Diagnostic>& diagnostics, uint16_t number) {
    try {
        // yaml-cpp takes the end of the text for the end of a quoted scalar; a document end there
        // is an error, so that a file cut off within quotes is not half believed.
        std::string ended(text);
        ended += text.ends_with('\n') ? "...\n" : "\n...\n";
        View view(ended);
        std::istream stream(&view);
        YAML::Parser parser(stream);
        Builder builder(number), second(number);
        parser.HandleNextDocument(builder);
        if (parser.HandleNextDocument(second))
            throw Refused{std::max(second.root.line, 1), std::max(second.root.column, 1),
                          "a second document: only one is read"};
        if (builder.root.kind == Node::Kind::null) {  // nowhere in particular
            builder.root = {};
            builder.root.file = number;
        }
        return std::move(builder.root);
    } catch (const Refused& e) {
        diagnostics.push_back({{file, e.line, e.column}, e.message});
    } catch (const YAML::Exception& e) {
        diagnostics.push_back({{file, e.mark.line + 1, e.mark.column + 1}, "not YAML: " + e.msg});
    } catch (const std::exception& e) {
        diagnostics.push_back({{file}, fmt::format("not readable as YAML: {}", e.what())});
    }
    return std::nullopt;
}

}  // namespace torii::config
