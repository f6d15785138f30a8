#pragma once
// DNS messages (RFC 1035): a question, and what an answer says, as text. Pure functions; the reader
// trusts nothing it reads.

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "config/model/health.h"

namespace torii::healthcheck::dns {

/// Why the name cannot be asked for; empty when it can. "." is the root.
std::string name_mistake(std::string_view name);

/// A query with recursion desired. Precondition: the name has no mistake.
std::string query(uint16_t id, std::string_view name, config::DnsRecord);

struct Answer {
    uint16_t id = 0;
    bool response = false, truncated = false, same_question = false;
    uint8_t code = 0;                  ///< RCODE, 0 is no error
    std::vector<std::string> records;  ///< of the type asked for: 192.0.2.1, mail.example.com, text
};
/// None: not a DNS message.
std::optional<Answer> parse(std::string_view message, std::string_view name, config::DnsRecord);

/// NOERROR, SERVFAIL, NXDOMAIN ...
std::string code_name(uint8_t code);

}  // namespace torii::healthcheck::dns
