#pragma once
// ServicesFile: one services generation as it lies in shared memory: services.<n> and the pieces
// that it shares with others, mapped read only and verified.
//
// Immutable once open; copies share the mappings. Any thread.

#include <cstdint>
#include <memory>
#include <vector>

#include "dataplane/shm/services.h"

namespace torii::shm {

/// A mapped and verified file pieces.<number>.
struct Piece {
    uint64_t number = 0;
    Mapping mapping;
    Bytes bytes() const { return {mapping.data(), mapping.size()}; }
};

class ServicesFile {
public:
    ServicesFile() = default;
    /// Pieces that `known` has are taken over, as they never change. The error names the file; it
    /// is Errc::not_found when one is not there (any more).
    static Result<ServicesFile> open(const Location&, uint64_t number,
                                     const ServicesFile* known = nullptr);
    /// A generation that holds everything itself; of no file.
    static ServicesFile of(std::vector<std::byte> object);

    uint64_t number() const { return number_; }
    Bytes bytes() const;
    const std::vector<std::shared_ptr<const Piece>>& pieces() const { return pieces_; }
    /// Everything is checked; see Services::view().
    Result<Services> view(const Services* checked = nullptr) const;

private:
    uint64_t number_ = 0;
    std::shared_ptr<const Mapping> mapping_;
    std::shared_ptr<const std::vector<std::byte>> built_;
    std::vector<std::shared_ptr<const Piece>> pieces_;
};

/// The pieces that an object made by build() names; empty when it is too short to name any.
std::vector<uint64_t> pieces_of(Bytes object);

}  // namespace torii::shm
