#pragma once
// Agenda: the next moment of each of many items, earliest first. A binary heap that knows where
// each item is, so that changing one's moment is O(log n) and leaves nothing behind.

#include <cstdint>
#include <utility>
#include <vector>

#include "healthcheck/result.h"

namespace torii::healthcheck {

class Agenda {
public:
    static constexpr uint32_t kNowhere = ~0u;

    explicit Agenda(size_t items = 0) : place_(items, kNowhere) {}

    bool empty() const { return heap_.empty(); }
    /// The earliest. Precondition: not empty.
    TimePoint first() const { return heap_[0].at; }
    uint32_t first_item() const { return heap_[0].item; }

    void set(uint32_t item, TimePoint at) {
        uint32_t place = place_[item];
        if (place == kNowhere) {
            place = uint32_t(heap_.size());
            heap_.push_back({at, item});
        }
        heap_[place].at = at;
        down(up(place));
    }
    void remove(uint32_t item) {
        const uint32_t place = std::exchange(place_[item], kNowhere);
        if (place == kNowhere) return;
        const Entry last = heap_.back();
        heap_.pop_back();
        if (place == heap_.size()) return;
        heap_[place] = last;
        down(up(place));
    }

private:
    struct Entry {
        TimePoint at;
        uint32_t item;
    };

    void put(uint32_t place, Entry e) {
        heap_[place] = e;
        place_[e.item] = place;
    }
    uint32_t up(uint32_t place) {
        const Entry e = heap_[place];
        while (place > 0 && e.at < heap_[(place - 1) / 2].at) {
            put(place, heap_[(place - 1) / 2]);
            place = (place - 1) / 2;
        }
        put(place, e);
        return place;
    }
    void down(uint32_t place) {
        const Entry e = heap_[place];
        for (;;) {
            uint32_t child = 2 * place + 1;
            if (child >= heap_.size()) break;
            if (child + 1 < heap_.size() && heap_[child + 1].at < heap_[child].at) ++child;
            if (heap_[child].at >= e.at) break;
            put(place, heap_[child]);
            place = child;
        }
        put(place, e);
    }

    std::vector<Entry> heap_;
    std::vector<uint32_t> place_;  // of each item in the heap
};

}  // namespace torii::healthcheck
