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

// Every switch of the kernel (6.1: /proc/sys/net/ipv4/vs) is a key that torii has or refuses by
// name, and a row of docs/compatibility.md says the same.
TEST(Reference, EverySwitchOfLvsIsAKeyAndARowOfTheCompatibilityTable) {
    std::vector<std::string> rows;
    std::ifstream file(TORII_SOURCE_DIR "/docs/compatibility.md");
    bool in_table = false;
    for (std::string line; std::getline(file, line);) {
        if (line.starts_with("## ")) in_table = line == "## LVS's switches";
        if (in_table && line.starts_with("| ")) rows.push_back(line);
    }
    const Keys keys = keys_for(static_cast<const Behaviour*>(nullptr));
    std::istringstream names(
        "am_droprate amemthresh backup_only cache_bypass conn_reuse_mode conntrack debug_level "
        "drop_entry drop_packet expire_nodest_conn expire_quiescent_template ignore_tunneled "
        "lblc_expiration lblcr_expiration nat_icmp_send pmtu_disc run_estimation schedule_icmp "
        "secure_tcp sloppy_sctp sloppy_tcp snat_reroute sync_persist_mode sync_ports sync_qlen_max "
        "sync_refresh_period sync_retries sync_sock_size sync_threshold sync_version");
    size_t count = 0;
    for (std::string name; names >> name; ++count) {
        const auto key = std::ranges::find(keys, name, &Key::name);
        ASSERT_NE(key, keys.end()) << name;
        const auto row = std::ranges::find_if(rows, [&](const std::string& r) {
            const std::string what = r.substr(2, r.find(" |") - 2);
            return what == name || what.starts_with(name + ",") || what.ends_with(", " + name);
        });
        ASSERT_NE(row, rows.end()) << name;
        EXPECT_EQ(row->find("| absent") != std::string::npos, !key->absent.empty()) << *row;
        if (key->absent.empty()) {
            const std::string value = "| " + key->field.fallback(*key) + " |";
            EXPECT_NE(row->find(value), std::string::npos) << *row;
        }
    }
    EXPECT_EQ(count, keys.size()) << "a switch that LVS has not";
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
