#include "control/compiler.h"

#include <fmt/format.h>

#include <algorithm>
#include <set>

namespace torii::control {

shm::Bytes Compiler::Placed::bytes() const {
    return piece ? piece->bytes.subspan(record.part.offset, record.part.count) : shm::Bytes{};
}

void Compiler::forget() {
    placed_.clear();
    order_.clear();
    backends_.clear();
    slots_ = {};
    fresh_.reset();
}

void Compiler::resume(const shm::ServicesFile& file, const shm::Services& services) {
    forget();
    std::vector<PieceHandle> pieces;
    for (const auto& p : file.pieces())
        pieces.push_back(std::make_shared<Piece>(Piece{p->number, p->bytes(), p, {}, 0}));
    for (const shm::ServiceRecord& r : services.services) {
        if (r.piece == 0) continue;
        Placed& p = placed_[{r.address, r.port.host(), r.protocol, r.mark}];
        p.record = r;
        p.piece = pieces[r.piece - 1];
    }
}

Result<Compiler::Object> Compiler::next(const Tables& t, uint64_t generation) {
    ++round_;
    fresh_ = std::make_shared<Piece>();
    fresh_->number = generation;
    fresh_->built.resize(sizeof(shm::ObjectHeader));
    refresh_backends(t.slots);
    if (auto ok = place_services(t); !ok) return tl::unexpected(ok.error());
    std::vector<PieceHandle> pieces = pieces_in_use();
    if (wasteful(pieces)) {
        compact(generation);
        pieces = pieces_in_use();
    }
    std::vector<uint64_t> numbers;
    for (const PieceHandle& p : pieces) {
        numbers.push_back(p->number);
        p->index = uint32_t(numbers.size());
    }
    std::vector<shm::ServiceRecord> records;
    records.reserve(order_.size());
    for (Placed* p : order_) {
        p->record.piece = p->piece ? p->piece->index : 0;
        records.push_back(p->record);
    }
    auto root = shm::build(shm::ServicesRoot{t.desired.timeouts, t.desired.behaviour,
                                             t.desired.marks, records, backends_, numbers});
    if (!root) return tl::unexpected(root.error());
    Object out{std::move(*root), {}};
    if (fresh_->built.size() > UINT32_MAX)
        return fail(Errc::full, "what changed of the services exceeds 4 GiB");
    if (!pieces.empty() && pieces.back() == fresh_) out.piece = fresh_->built;
    fresh_.reset();
    return out;
}

// Everything in a record that follows from its slot; compile_into() does the rest.
void Compiler::refresh_backends(const Slots& slots) {
    backends_.resize(slots.backends.size());
    slots.backends.each_change(slots_.backends, [&](size_t i) {
        const BackendSlot& b = slots.backends[i];
        if (!b.present) {
            backends_[i] = absent_record(slots, uint32_t(i));
            return;
        }
        backends_[i].generation = b.generation;
        backends_[i].base = b.base;
        remember(b, slots.services[b.service_slot], backends_[i]);
    });
    // The records of who has left name their services' slots too.
    std::vector<bool> other(slots.services.size());
    bool any = false;
    slots.services.each_change(slots_.services, [&](size_t i) { other[i] = any = true; });
    if (any)
        for (const uint32_t i : *slots.absent)
            if (slots.backends[i].service_slot < other.size() &&
                other[slots.backends[i].service_slot])
                backends_[i] = absent_record(slots, i);
    slots_ = slots;
}

Result<> Compiler::place_services(const Tables& t) {
    const auto slots = service_slots(t.slots);
    order_.clear();
    for (const ServiceHandle& s : t.desired.services.handles()) {
        Placed& p = placed_[s->key];
        if (p.round == round_)
            return fail(Errc::exists, fmt::format("service {} is there twice", to_string(s->key)));
        p.round = round_;
        const auto place = uint32_t(order_.size());
        order_.push_back(&p);
        const Shared<scheduler::ListState>& list = t.lists.at(s->key);
        const uint32_t slot = slots.at(s->key);
        const bool moved = p.place != place;
        p.place = place;
        if (!p.compiled || !p.service.same(s) || !p.list.same(list)) {
            p.service = s;
            p.list = list;
            if (auto ok = compile_into(t, p, slot); !ok) return ok;
        } else if (moved) {
            for (const uint32_t b : p.slots) backends_[b].service = place;
        }
        p.record.base = t.slots.services[slot].base;
    }
    std::erase_if(placed_, [&](const auto& item) { return item.second.round != round_; });
    return {};
}

Result<> Compiler::compile_into(const Tables& t, Placed& p, uint32_t service_slot) {
    const Compiled c = compile_service(t, *p.service, *p.list, service_slot, p.place);
    auto part = shm::part_of(c.service, c.names);
    if (!part) return tl::unexpected(part.error());
    const shm::Section former = p.record.part;
    const bool stays = p.piece && std::ranges::equal(part->bytes, p.bytes());
    p.record = part->record;
    if (stays)
        p.record.part = former;
    else
        put(p, part->bytes);
    const uint32_t offset = p.record.part.offset;
    shm::move_sections(p.record, offset);
    p.slots.clear();
    for (size_t i = 0; i < c.backends.size(); ++i) {
        const auto& [slot, record] = c.backends[i];
        backends_[slot] = record;
        backends_[slot].name = shm::moved(part->names[i], offset);
        p.slots.push_back(slot);
    }
    p.compiled = true;
    return {};
}

// Appends to the new piece. The sections stay as they are.
void Compiler::put(Placed& p, shm::Bytes part) {
    if (part.empty()) {
        p.piece.reset();
        p.record.part = {};
        return;
    }
    std::vector<std::byte>& to = fresh_->built;
    to.resize((to.size() + shm::kPartAlignment - 1) / shm::kPartAlignment * shm::kPartAlignment);
    p.record.part = {uint32_t(to.size()), uint32_t(part.size())};
    to.insert(to.end(), part.begin(), part.end());
    fresh_->bytes = to;
    p.piece = fresh_;
}

void Compiler::shift(Placed& p, uint32_t from, uint32_t to) {
    shm::move_sections(p.record, to - from);  // wraps around where it goes back
    for (const uint32_t slot : p.slots)
        backends_[slot].name = shm::moved(backends_[slot].name, to - from);
}

std::vector<Compiler::PieceHandle> Compiler::pieces_in_use() const {
    const auto by_number = [](const PieceHandle& a, const PieceHandle& b) {
        return a->number < b->number;
    };
    std::set<PieceHandle, decltype(by_number)> all;
    for (const Placed* p : order_)
        if (p->piece) all.insert(p->piece);
    return {all.begin(), all.end()};
}

bool Compiler::wasteful(const std::vector<PieceHandle>& pieces) const {
    uint64_t held = 0, used = 0;
    for (const PieceHandle& p : pieces) held += p->bytes.size();
    for (const Placed* p : order_) used += p->record.part.count;
    return pieces.size() > kMostPieces || held > 2 * used + kSlack;
}

void Compiler::compact(uint64_t generation) {
    const PieceHandle before = std::move(fresh_);  // holds what is copied from it
    fresh_ = std::make_shared<Piece>();
    fresh_->number = generation;
    fresh_->built.resize(sizeof(shm::ObjectHeader));
    for (Placed* p : order_) {
        if (!p->piece) continue;
        const PieceHandle from = p->piece;
        const uint32_t offset = p->record.part.offset;
        put(*p, p->bytes());
        shift(*p, offset, p->record.part.offset);
    }
}

}  // namespace torii::control
