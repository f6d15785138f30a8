#pragma once
// Builder: appends arrays to a growing object and hands back their sections. Private to this
// folder.

#include <cstring>
#include <span>
#include <string_view>
#include <vector>

#include "dataplane/shm/object.h"

namespace torii::shm {

class Builder {
public:
    explicit Builder(size_t header_size) : bytes_(header_size) {}

    Section append(const void* data, size_t element, size_t count, size_t alignment = 64) {
        if (count == 0) return {};
        bytes_.resize((bytes_.size() + alignment - 1) / alignment * alignment);
        const Section s{uint32_t(bytes_.size()), uint32_t(count)};
        const auto* p = static_cast<const std::byte*>(data);
        bytes_.insert(bytes_.end(), p, p + element * count);
        return s;
    }
    template <class T>
    Section append(const std::vector<T>& v) {
        return append(v.data(), sizeof(T), v.size());
    }
    template <class T>
    Section append(std::span<const T> v) {
        return append(v.data(), sizeof(T), v.size());
    }
    Section append(std::string_view text) { return append(text.data(), 1, text.size(), 1); }

    void reserve(size_t bytes) { bytes_.reserve(bytes); }
    bool too_large() const { return bytes_.size() > UINT32_MAX; }
    std::vector<std::byte> finish() { return std::move(bytes_); }
    std::vector<std::byte> finish(const void* header, size_t size) {
        std::memcpy(bytes_.data(), header, size);
        return std::move(bytes_);
    }

private:
    std::vector<std::byte> bytes_;
};

/// A power of two at least twice `n`, so that open addressing always meets an empty slot.
inline size_t index_size(size_t n) {
    size_t size = 8;
    while (size < 2 * n) size *= 2;
    return size;
}
inline bool is_index_size(size_t n) { return n >= 8 && (n & (n - 1)) == 0; }

}  // namespace torii::shm
