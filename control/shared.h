#pragma once
// Values that copies share: a copy of tens of thousands of things costs little, a change costs what
// it changes, and what did not change is known by where it lies. For one thread.

#include <algorithm>
#include <memory>
#include <utility>
#include <vector>

namespace torii::control {

/// A value that its copies share until one of them is changed.
template <class T>
class Shared {
public:
    Shared() : value_(std::make_shared<T>()) {}
    Shared(T value) : value_(std::make_shared<T>(std::move(value))) {}

    const T& operator*() const { return *value_; }
    const T* operator->() const { return value_.get(); }
    /// To be changed; from now on this copy's own.
    T& edit() {
        if (value_.use_count() > 1) value_ = std::make_shared<T>(*value_);
        return *value_;
    }
    /// One and the same value; two that are merely equal are not.
    bool same(const Shared& other) const { return value_ == other.value_; }
    friend bool operator==(const Shared& a, const Shared& b) {
        return a.same(b) || *a.value_ == *b.value_;
    }

private:
    std::shared_ptr<T> value_;
};

/// An array whose copies share pages.
template <class T, size_t kPage = 256>
class Paged {
public:
    size_t size() const { return size_; }
    bool empty() const { return size_ == 0; }
    const T& operator[](size_t i) const { return (*pages_[i / kPage])[i % kPage]; }
    T& edit(size_t i) { return pages_[i / kPage].edit()[i % kPage]; }
    void push_back(T value) {
        if (size_ % kPage == 0) {
            pages_.emplace_back();
            pages_.back().edit().reserve(kPage);
        }
        pages_.back().edit().push_back(std::move(value));
        ++size_;
    }
    /// Grows only.
    void resize(size_t size) {
        while (size_ < size) push_back(T{});
    }
    /// Calls f(i) for every element that `former` lacks or has otherwise, ascending.
    template <class F>
    void each_change(const Paged& former, F f) const {
        for (size_t p = 0; p < pages_.size(); ++p) {
            if (p < former.pages_.size() && pages_[p].same(former.pages_[p])) continue;
            const size_t end = std::min(size_, (p + 1) * kPage);
            for (size_t i = p * kPage; i < end; ++i)
                if (i >= former.size_ || !((*this)[i] == former[i])) f(i);
        }
    }
    friend bool operator==(const Paged& a, const Paged& b) {
        return a.size_ == b.size_ && a.pages_ == b.pages_;
    }

private:
    std::vector<Shared<std::vector<T>>> pages_;
    size_t size_ = 0;
};

}  // namespace torii::control
