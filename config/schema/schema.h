#pragma once
// What the rest of the program asks of the table of keys.

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "config/model/config.h"
#include "config/schema/key.h"
#include "config/schema/node.h"

namespace torii::config {

/// Fills a Config from a document; reports every problem it finds. Names are not resolved yet.
void read_config(const Node& document, Config&, Report&);

/// What `to` does not say itself comes from `from`.
void inherit(const Health& from, Health& to);

/// The configuration as a document that can be read again, with every default filled in and
/// secrets masked. `path` ("dataplane", "timeouts.tcp") picks a part; nullopt when there is none.
std::optional<Node> write_config(const Config&, std::string_view path = {});

/// JSON schema (draft 2020-12) of the file, for editors.
std::string json_schema();

/// Every key's path, as in changes(): for completion.
std::vector<std::string> key_paths();

/// docs/config.md: every key with its type, default, cost of changing and help.
std::string reference_markdown();

/// A key whose value differs between two configurations.
struct Change {
    std::string key;  ///< "dataplane.connections"; lists and named mappings count as one value
    Reload reload;
};
std::vector<Change> changes(const Config& from, const Config& to);

}  // namespace torii::config
