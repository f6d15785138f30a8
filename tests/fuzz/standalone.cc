// A fuzz target as an ordinary program: the kept inputs of DIRECTORY, then COUNT changed ones, the
// same every time. NAME DIRECTORY [COUNT].

#include <algorithm>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <random>
#include <vector>

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size);

namespace {

using Input = std::vector<uint8_t>;

Input read(const std::filesystem::path& path) {
    std::ifstream in(path, std::ios::binary);
    return {std::istreambuf_iterator<char>(in), {}};
}

// Changes a few bytes, takes over a piece of another input, or moves the end.
Input changed(Input input, const Input& other, std::minstd_rand& random) {
    for (auto n = random() % 4; n > 0 && !input.empty(); --n)
        input[random() % input.size()] = random() % 2 ? uint8_t(random() >> 8) : uint8_t(255);
    if (random() % 3 == 0 && !other.empty()) {
        const size_t from = random() % other.size(), count = random() % (other.size() - from) + 1;
        const size_t at = random() % (input.size() + 1);
        const auto piece = other.begin() + std::ptrdiff_t(from);
        input.insert(input.begin() + std::ptrdiff_t(at), piece, piece + std::ptrdiff_t(count));
    }
    if (random() % 4 == 0) input.resize(random() % (input.size() + 9));
    return input;
}

}  // namespace

int main(int argc, char** argv) {
    if (argc < 2) return std::fprintf(stderr, "usage: %s DIRECTORY [COUNT]\n", argv[0]), 2;
    std::vector<Input> kept;
    for (const auto& file : std::filesystem::directory_iterator(argv[1]))
        kept.push_back(read(file));
    if (kept.empty()) return std::fprintf(stderr, "no input in %s\n", argv[1]), 1;
    std::sort(kept.begin(), kept.end());
    for (const Input& input : kept) LLVMFuzzerTestOneInput(input.data(), input.size());
    std::minstd_rand random(1);
    const int count = argc > 2 ? std::atoi(argv[2]) : 0;
    for (int i = 0; i < count; ++i) {
        const Input input =
            changed(kept[random() % kept.size()], kept[random() % kept.size()], random);
        LLVMFuzzerTestOneInput(input.data(), input.size());
    }
    std::printf("%zu kept and %d changed inputs\n", kept.size(), count);
    return 0;
}
