#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <fstream>
#include <sstream>

#include "config/load/load.h"
#include "config/schema/field.h"
#include "config/schema/schema.h"

namespace torii::config {
namespace {

TEST(Reference, DocumentationIsWhatTheTableSays) {
    std::ostringstream text;
    text << std::ifstream(TORII_SOURCE_DIR "/docs/config.md").rdbuf();
    EXPECT_EQ(text.str(), reference_markdown())
        << "the table of keys has changed: torii config reference > docs/config.md";
}

/// Calls `visit(path, key)` for every row of every table.
template <class Visit>
void each_key(const std::string& path, Keys keys, const Visit& visit) {
    for (const Key& key : keys) {
        const std::string name = path + std::string(key.name);
        visit(name, key);
        if (key.field.keys)
            each_key(name + std::string(key.field.suffix) + ".", key.field.keys(), visit);
    }
}

TEST(Reference, EveryRowIsWhole) {
    size_t rows = 0;
    each_key("", keys_for(static_cast<const Config*>(nullptr)),
             [&](const std::string& name, const Key& key) {
                 ++rows;
                 EXPECT_NE(key.help.empty(), key.absent.empty()) << name;
                 EXPECT_TRUE(key.field.read || key.status == Status::later) << name;
                 EXPECT_LE(key.min, key.max) << name;
                 EXPECT_LE(key.shortest, key.longest) << name;
             });
    EXPECT_GT(rows, 50u);
}

TEST(Changes, NamesTheKeyAndWhatItCosts) {
    Config from, to;
    EXPECT_TRUE(changes(from, to).empty());
    to.dataplane.connections = 4096;
    to.timeouts.udp = std::chrono::seconds(7);
    to.services.emplace_back().name = "s";
    std::string found;
    for (const Change& c : changes(from, to))
        found += c.key + "=" + std::string(to_string(c.reload)) + "\n";
    EXPECT_EQ(found, "dataplane.connections=restart\ntimeouts.udp=live\nservices=live\n");
}

}  // namespace
}  // namespace torii::config
