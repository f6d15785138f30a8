#pragma once
// Marks: which firewall mark a packet carries, by where it goes. The longest prefix with a rule
// that fits wins; in one block, a rule for the protocol before one for each, then fewest ports.
// Built once a generation; immutable and safe on any thread afterwards.

#include <cstdint>
#include <span>
#include <vector>

#include "config/base/address.h"
#include "dataplane/shm/services.h"

namespace torii::stages {

class Marks {
public:
    Marks() = default;
    explicit Marks(std::span<const shm::MarkRecord>);

    bool empty() const { return rules_.empty(); }
    bool cover(const Address&) const;  ///< whether some rule's block holds the address
    /// 0 if no rule fits. `port` is the destination's, in host order.
    uint32_t of(const Address& to, Protocol, uint16_t port) const;
    /// Every block of destinations once, longest prefix first, with the rules that may apply in it:
    /// those of the blocks around it are behind its own.
    struct Block {
        Prefix destination;
        std::vector<shm::MarkRecord> rules;
    };
    std::vector<Block> blocks() const;

private:
    struct Length {
        uint8_t bits;
        bool v4;
        uint32_t first, last;  // of rules_
    };
    std::span<const shm::MarkRecord> at(const Length&, const Address& to) const;

    std::vector<shm::MarkRecord> rules_;  // by length (longest first), family, block, precedence
    std::vector<Length> lengths_;
};

}  // namespace torii::stages
