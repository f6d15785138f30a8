// Any bytes as a frame, after a connection of each kind has begun: the pipeline gives every packet
// exactly one verdict (or holds it), and reads and writes nothing outside the frame and its room.
//
// Input: one byte (bits 0-1: headroom, 2-3: tailroom, 4: port), then the frame. Built with
// TORII_FUZZ it is a libFuzzer target; without, main() runs the kept inputs and a fixed number of
// changed ones: packet_fuzz DIRECTORY [COUNT].

#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <memory>
#include <random>

#include "tests/support/world/world.h"

namespace {

using namespace torii;
using namespace torii::test;

std::unique_ptr<World> make_world() {
    auto w = std::make_unique<World>(1024);
    w->backend(w->service(kVip, 80), kServer, 8080, shm::Forward::nat);
    w->backend(w->service(kVip, 81), kServer, 81, shm::Forward::dr);
    w->backend(w->service(kVip, 53, Protocol::udp), kServer, 5353, shm::Forward::nat);
    w->service(kVip, 82);
    w->backend(w->service(kVip6, 80), kServer6, 8080, shm::Forward::nat);
    w->backend(w->service(kVip6, 81), kServer6, 81, shm::Forward::dr);
    for (auto& n : w->routes.neighbours)
        if (to_string(n.address) == kServer) n.vlan = 30;
    w->publish();
    return w;
}

void check(bool right, const char* what) {
    if (right) return;
    std::fprintf(stderr, "packet_fuzz: %s\n", what);
    std::abort();
}

void run_one(const uint8_t* data, size_t size) {
    static const std::unique_ptr<World> world = make_world();
    static uint64_t sent = 0;
    World& w = *world;
    for (uint16_t port : {80, 81}) {
        w.send(Frame().ip(kClient, kVip).tcp(40000, port, kSyn));
        w.send(Frame().ip(kClient6, kVip6).tcp(40000, port, kSyn));
    }
    w.send(Frame().ip(kClient, kVip).udp(40000, 53));
    sent += 5;
    if (size == 0 || size > 9001) return;
    const auto* bytes = reinterpret_cast<const std::byte*>(data);
    const Room room{uint16_t((data[0] & 3) * 24), uint16_t((data[0] >> 2 & 3) * 24),
                    uint16_t(data[0] >> 4 & 1)};
    Sent s = w.send(Bytes(bytes + 1, bytes + size), room);
    ++sent;
    check((s.verdict == stages::Verdict::open) == s.held, "neither verdict nor held");
    if (s.held) w.abandon_held(s);
    uint64_t sum = 0;
    for (const auto& v : stages::kVerdicts) sum += w.count(v.id);
    check(sum == sent && w.counters().received.get() == sent, "verdicts do not add up");
    if (stages::info(s.verdict).outcome == stages::Outcome::kernel)
        check(s.frame == Bytes(bytes + 1, bytes + size), "a packet for the kernel was changed");
    w.pass(20);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
    run_one(data, size);
    return 0;
}

#ifndef TORII_FUZZ
namespace {

std::vector<uint8_t> read(const std::filesystem::path& path) {
    std::ifstream in(path, std::ios::binary);
    return {std::istreambuf_iterator<char>(in), {}};
}

// Changes a few bytes, and sometimes the length.
std::vector<uint8_t> changed(std::vector<uint8_t> input, std::minstd_rand& random) {
    for (auto n = random() % 6; n > 0 && !input.empty(); --n)
        input[random() % input.size()] = random() % 2 ? uint8_t(random() >> 8) : uint8_t(255);
    if (random() % 3 == 0) input.resize(random() % (input.size() + 9));
    return input;
}

}  // namespace

int main(int argc, char** argv) {
    if (argc < 2) return std::fprintf(stderr, "usage: packet_fuzz DIRECTORY [COUNT]\n"), 2;
    std::vector<std::vector<uint8_t>> kept;
    for (const auto& file : std::filesystem::directory_iterator(argv[1]))
        kept.push_back(read(file));
    if (kept.empty()) return std::fprintf(stderr, "packet_fuzz: no input in %s\n", argv[1]), 1;
    std::sort(kept.begin(), kept.end());
    for (const auto& input : kept) run_one(input.data(), input.size());
    std::minstd_rand random(1);
    const int count = argc > 2 ? std::atoi(argv[2]) : 0;
    for (int i = 0; i < count; ++i) {
        const auto input = changed(kept[random() % kept.size()], random);
        run_one(input.data(), input.size());
    }
    std::printf("%zu kept and %d changed inputs\n", kept.size(), count);
    return 0;
}
#endif
