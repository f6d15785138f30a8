#include "tests/bench/port.h"

#include <sys/mman.h>

#include "tests/bench/results.h"

namespace torii::bench {
namespace {
constexpr size_t kBytes = (size_t(kFrames) * 2368 + (2u << 20) - 1) >> 21 << 21;
}

MemoryPort::MemoryPort() {
    static_assert(kStride == 2368);
    constexpr int kFlags = MAP_PRIVATE | MAP_ANONYMOUS | MAP_POPULATE;
    void* p = ::mmap(nullptr, kBytes, PROT_READ | PROT_WRITE, kFlags | MAP_HUGETLB, -1, 0);
    if (p == MAP_FAILED) {
        p = ::mmap(nullptr, kBytes, PROT_READ | PROT_WRITE, kFlags, -1, 0);
        if (p == MAP_FAILED) give_up("no memory for packets");
        ::madvise(p, kBytes, MADV_HUGEPAGE);
    }
    pool_ = static_cast<std::byte*>(p);
}
MemoryPort::~MemoryPort() { ::munmap(pool_, kBytes); }

}  // namespace torii::bench
