// Any words as ipvsadm's arguments: they mean something, or are refused with a sentence and one of
// ipvsadm's exit statuses; what goes to toriid is read there as it was meant.
//
// Input: the words, each ended by a newline.

#include <netdb.h>

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <string>
#include <vector>

#include "control/cli/ipvsadm_line.h"

// Names are not looked up: no input may reach the network.
extern "C" int getaddrinfo(const char*, const char*, const addrinfo*, addrinfo**) {
    return EAI_NONAME;
}

namespace {

using namespace torii;

void check(bool right, const char* what) {
    if (right) return;
    std::fprintf(stderr, "ipvsadm_fuzz: %s\n", what);
    std::abort();
}

std::vector<std::string> words_of(const uint8_t* data, size_t size) {
    std::vector<std::string> words(1);
    for (size_t i = 0; i < size; ++i)
        if (data[i] == '\n')
            words.emplace_back();
        else if (data[i] != 0)  // no argument holds one
            words.back() += char(data[i]);
    words.pop_back();
    return words;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
    const auto line = cli::read_line(words_of(data, size), "ipvsadm");
    if (!line) {
        const cli::Refusal& r = line.error();
        check(r.status == 2 || r.status == 255, "an exit status that ipvsadm does not have");
        check(!r.message.empty(), "refused without a word");
        return 0;
    }
    if (!cli::changes(line->command)) return 0;
    const api::IpvsCommand& meant = line->change;
    const auto all = api::parse_commands(api::to_json(std::vector<api::IpvsCommand>{meant}));
    check(all && all->size() == 1, "toriid cannot read it");
    const api::IpvsCommand& read = all->front();
    check(read.verb == meant.verb && read.service == meant.service, "toriid reads something else");
    // A name that is no UTF-8 is nobody's: toriid need not see the same nonsense.
    const auto plain = [](const std::string& name) {
        return std::ranges::all_of(name, [](char c) { return c > 0; });
    };
    if (line->command == cli::Command::add_service && plain(meant.rule.scheduler) &&
        plain(meant.rule.engine))
        check(read.rule == meant.rule, "toriid reads other settings");
    if (line->command == cli::Command::add_server)
        check(read.server == meant.server && read.server_rule == meant.server_rule,
              "toriid reads another server");
    return 0;
}
