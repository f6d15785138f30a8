#pragma once
// Compiler: from tables to the bytes of a generation, each made from the one before.
//
// What belongs to one service alone is compiled again only where its part of the tables is another,
// and stays in the piece where it lies when the bytes are the same. A new piece holds what changed.
// When most of what the pieces hold is out of date, or there are too many of them, everything goes
// into one new piece. What comes out says the same as compile(tables) does. One thread.

#include <cstdint>
#include <memory>
#include <unordered_map>
#include <vector>

#include "control/tables.h"
#include "dataplane/shm/services_file.h"

namespace torii::control {

class Compiler {
public:
    struct Object {
        std::vector<std::byte> root;
        std::vector<std::byte> piece;  ///< empty: no new one; else it is number `generation`
    };
    /// The bytes of `generation`, which is about to be published. When that fails, forget().
    Result<Object> next(const Tables&, uint64_t generation);
    /// Nothing is known of what is in force: the next one is compiled as a whole.
    void forget();
    /// Goes on from a generation that another process made: its pieces are used where they hold
    /// what is wanted.
    void resume(const shm::ServicesFile&, const shm::Services&);

    /// How many pieces there may be, and bytes out of date beside as many that are in use.
    static constexpr size_t kMostPieces = 200;
    static constexpr uint64_t kSlack = 4u << 20;

private:
    struct Piece {
        uint64_t number = 0;
        shm::Bytes bytes;  // in one of:
        std::shared_ptr<const shm::Piece> mapped;
        std::vector<std::byte> built;
        uint32_t index = 0;  // ServiceRecord::piece in the generation in the making
    };
    using PieceHandle = std::shared_ptr<Piece>;
    struct Placed {
        ServiceHandle service;
        Shared<scheduler::ListState> list;
        bool compiled = false;  // from those two
        uint32_t place = ~0u;   // among the services
        shm::ServiceRecord record{};
        PieceHandle piece;            // none: it has nothing of its own
        std::vector<uint32_t> slots;  // of its destinations
        uint64_t round = 0;
        shm::Bytes bytes() const;
    };

    void refresh_backends(const Slots&);
    Result<> place_services(const Tables&);
    Result<> compile_into(const Tables&, Placed&, uint32_t service_slot);
    void put(Placed&, shm::Bytes part);
    void shift(Placed&, uint32_t from, uint32_t to);
    std::vector<PieceHandle> pieces_in_use() const;
    bool wasteful(const std::vector<PieceHandle>&) const;
    void compact(uint64_t generation);

    std::unordered_map<ServiceKey, Placed, KeyHash> placed_;
    std::vector<Placed*> order_;  // of the services
    std::vector<shm::BackendRecord> backends_;
    Slots slots_;
    PieceHandle fresh_;  // the new piece in the making
    uint64_t round_ = 0;
};

}  // namespace torii::control
