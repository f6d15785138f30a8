// frame_cannon INTERFACE RATE SECONDS: sends the frames that its input has, one a line as
// hexadecimal digits, in turns, RATE of them a second. Prints how many were sent.

#include <linux/if_packet.h>
#include <net/if.h>
#include <sys/socket.h>
#include <unistd.h>

#include <chrono>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <iostream>
#include <string>
#include <thread>
#include <vector>

namespace {

using Clock = std::chrono::steady_clock;
using Frame = std::vector<uint8_t>;
constexpr size_t kBatch = 64;

std::vector<Frame> read_frames() {
    std::vector<Frame> all;
    for (std::string line; std::getline(std::cin, line);) {
        Frame f;
        for (size_t i = 0; i + 1 < line.size(); i += 2)
            f.push_back(uint8_t(std::stoul(line.substr(i, 2), nullptr, 16)));
        if (!f.empty()) all.push_back(std::move(f));
    }
    return all;
}

int open_on(const char* interface) {
    const int fd = socket(AF_PACKET, SOCK_RAW, 0);
    sockaddr_ll at{};
    at.sll_family = AF_PACKET;
    at.sll_ifindex = int(if_nametoindex(interface));
    if (fd < 0 || at.sll_ifindex == 0 ||
        bind(fd, reinterpret_cast<const sockaddr*>(&at), sizeof at) != 0) {
        std::perror(interface);
        std::exit(1);
    }
    return fd;
}

uint64_t fire(int fd, std::vector<Frame>& frames, double rate, double seconds) {
    std::vector<iovec> parts(kBatch);
    std::vector<mmsghdr> heads(kBatch);
    uint64_t sent = 0;
    const auto start = Clock::now();
    for (;;) {
        const double elapsed = std::chrono::duration<double>(Clock::now() - start).count();
        if (elapsed >= seconds) return sent;
        if (double(sent) > elapsed * rate) {
            std::this_thread::sleep_for(std::chrono::microseconds(200));
            continue;
        }
        for (size_t i = 0; i < kBatch; ++i) {
            Frame& f = frames[(sent + i) % frames.size()];
            parts[i] = {f.data(), f.size()};
            heads[i] = {};
            heads[i].msg_hdr.msg_iov = &parts[i];
            heads[i].msg_hdr.msg_iovlen = 1;
        }
        const int n = sendmmsg(fd, heads.data(), kBatch, 0);
        if (n > 0) sent += uint64_t(n);
    }
}

}  // namespace

int main(int argc, char** argv) {
    if (argc != 4) return std::fprintf(stderr, "frame_cannon INTERFACE RATE SECONDS < FRAMES\n"), 1;
    std::vector<Frame> frames = read_frames();
    if (frames.empty()) return std::fprintf(stderr, "frame_cannon: no frames\n"), 1;
    const int fd = open_on(argv[1]);
    std::printf("%llu\n", static_cast<unsigned long long>(
                              fire(fd, frames, std::atof(argv[2]), std::atof(argv[3]))));
    return close(fd);
}
