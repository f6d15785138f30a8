// Any text as a saved table and as the body of a request: its commands are done or refused one by
// one, and what comes of them is a table without doubles that survives being written and read.
//
// Input: the text. What begins with [ or { is a request.

#include <netdb.h>

#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <set>
#include <sstream>

#include "control/cli/ipvsadm_line.h"
#include "control/cli/ipvsadm_restore.h"
#include "control/edit_file.h"
#include "tests/support/temporary_directory.h"

extern "C" int getaddrinfo(const char*, const char*, const addrinfo*, addrinfo**) {
    return EAI_NONAME;
}

namespace {

using namespace torii;
using namespace torii::control;

void check(bool right, const char* what) {
    if (right) return;
    std::fprintf(stderr, "restore_fuzz: %s\n", what);
    std::abort();
}

Desired configuration() {
    Desired d;
    for (const char* address : {"10.0.0.1", "10.0.0.2", "2001:db8::1"}) {
        Service s;
        s.key = {*parse_address(address), 80, Protocol::tcp, 0};
        s.persistence_mask = full_mask(s.key.family());
        s.scheduler = "rr";
        for (uint8_t n = 1; n <= 3; ++n) {
            Destination to;
            to.key = {s.key.address, n};
            s.destinations.push_back(to);
        }
        d.services.push_back(std::move(s));
    }
    return d;
}

std::vector<api::IpvsCommand> commands_of(const std::string& text) {
    if (text.starts_with('[') || text.starts_with('{'))
        return api::parse_commands(text).value_or(std::vector<api::IpvsCommand>{});
    std::vector<api::IpvsCommand> commands;
    std::istringstream in(text);
    for (std::string one; std::getline(in, one);) {
        std::erase(one, '\0');
        const auto words = cli::restore_words(one);
        if (words.empty()) continue;
        const auto line = cli::read_line(words, "ipvsadm");
        if (line && cli::changes(line->command)) commands.push_back(line->change);
        if (!line && line.error().last) break;
    }
    return commands;
}

void no_doubles(const Desired& d) {
    std::set<ServiceKey> services;
    for (const Service& s : d.services) {
        check(services.insert(s.key).second, "a service is there twice");
        std::set<Endpoint> destinations;
        for (const Destination& to : s.destinations)
            check(destinations.insert(to.key).second, "a destination is there twice");
    }
}

void keeps(const Batch& batch) {
    static const test::TemporaryDirectory directory;
    const std::string path = directory.path() + "/edits";
    std::filesystem::remove(path);
    check(EditFile(path).append(batch).has_value(), "edits cannot be written");
    const auto read = EditFile(path).load();
    check(read && to_lines(*read) == to_lines(batch.edits), "other edits are read than written");
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
    static const Desired file = configuration();
    static const FileIndex index(file);
    const Machine machine{[](const Address& a) { return a.is_loopback(); },
                          [](std::string_view name) { return name != "nosuch"; }};
    const auto commands = commands_of(std::string(reinterpret_cast<const char*>(data), size));
    const Batch batch = run(file, index, {}, commands, machine);
    check(batch.errors.size() <= commands.size(), "more errors than commands");
    const Desired now = apply_edits(file, batch.edits);
    no_doubles(now);
    check(keep_beside(file, batch.edits) == batch.edits, "edits do not hold beside their own file");
    check(describe_difference(now, now).empty(), "a table differs from itself");
    keeps(batch);
    const std::vector<api::IpvsCommand> clear(1);
    check(apply_edits(file, run(file, index, batch.edits, clear, machine).edits).services.empty(),
          "-C leaves something");
    return 0;
}
