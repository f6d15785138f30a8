#include "dataplane/shm/current.h"

#include <gtest/gtest.h>

#include <array>
#include <memory>
#include <thread>
#include <vector>

namespace torii::shm {
namespace {

struct Version {
    std::array<uint64_t, 16> words{};
    explicit Version(uint64_t n) { words.fill(n); }
    ~Version() { words.fill(~0ull); }  // a reader that comes too late sees it
};

TEST(Current, WorkersNeverSeeAVersionThatWasFreedOrIsHalfWritten) {
    constexpr int kWorkers = 2;
    constexpr uint64_t kVersions = 3'000;
    std::array<Current<Version>, kWorkers> current;
    std::array<uint64_t, kWorkers> changes{}, wrong{};
    auto version = std::make_unique<Version>(1);
    for (auto& c : current) c.set(version.get());
    std::vector<std::thread> workers;
    for (int w = 0; w < kWorkers; ++w)
        workers.emplace_back([&, w] {
            uint64_t last = 0;
            while (const Version* v = current[w].take()) {
                for (const uint64_t word : v->words)
                    wrong[w] += word != v->words[0] || word < last || word == ~0ull;
                changes[w] += v->words[0] != last;
                last = v->words[0];
                std::this_thread::yield();  // there may be fewer cores than threads
            }
        });
    for (uint64_t n = 2; n <= kVersions; ++n) {
        auto next = std::make_unique<Version>(n);
        for (auto& c : current) c.set(next.get());
        for (auto& c : current)
            while (!c.settled()) std::this_thread::yield();
        version = std::move(next);  // frees the former one
    }
    for (auto& c : current) c.set(nullptr);
    for (auto& t : workers) t.join();
    for (int w = 0; w < kWorkers; ++w) {
        EXPECT_EQ(wrong[w], 0u);
        EXPECT_GT(changes[w], kVersions / 2) << "the worker has to have seen versions change";
        EXPECT_TRUE(current[w].settled());
    }
}

}  // namespace
}  // namespace torii::shm
