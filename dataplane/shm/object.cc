#include "dataplane/shm/object.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstdlib>
#include <cstring>

namespace torii::shm {
namespace {

constexpr char kMagic[8] = {'T', 'O', 'R', 'I', 'I', 'S', 'H', 'M'};

// FNV-1a over 64-bit words with a final mix, in four lanes that a processor works on at once; the
// tail is padded with zeros.
uint64_t checksum(std::span<const std::byte> bytes) {
    constexpr uint64_t kPrime = 0x100000001b3u;
    constexpr size_t kLanes = 4, kWord = sizeof(uint64_t);
    uint64_t lanes[kLanes] = {0xcbf29ce484222325u, 0x9e3779b97f4a7c15u, 0xc2b2ae3d27d4eb4fu,
                              0x165667b19e3779f9u};
    const auto take = [&](uint64_t& h, size_t at, size_t size) {
        uint64_t word = 0;
        std::memcpy(&word, bytes.data() + at, size);
        h = (h ^ word) * kPrime;
        h ^= h >> 29;
    };
    size_t at = 0;
    for (; at + kLanes * kWord <= bytes.size(); at += kLanes * kWord)
        for (size_t lane = 0; lane < kLanes; ++lane) take(lanes[lane], at + lane * kWord, kWord);
    for (; at < bytes.size(); at += kWord) take(lanes[0], at, std::min(kWord, bytes.size() - at));
    uint64_t h = bytes.size();
    for (const uint64_t lane : lanes) {
        h = (h ^ lane) * kPrime;
        h ^= h >> 29;
    }
    return h;
}

void fill_header(ObjectHeader& h, Kind kind, uint64_t size, uint64_t layout) {
    std::memcpy(h.magic, kMagic, sizeof kMagic);
    h.kind = kind;
    h.layout_version = kLayoutVersion;
    h.size = size;
    h.layout_hash = layout;
    h.checksum = 0;
}

struct Descriptor {
    int fd;
    ~Descriptor() {
        if (fd >= 0) ::close(fd);
    }
};

}  // namespace

std::string_view to_string(Kind k) {
    switch (k) {
        case Kind::control:
            return "control block";
        case Kind::services:
            return "services generation";
        case Kind::routes:
            return "routes generation";
        case Kind::counters:
            return "counters";
        case Kind::events:
            return "event rings";
        case Kind::connections:
            return "connection table";
        case Kind::pieces:
            return "services piece";
        case Kind::standby:
            return "standby table";
    }
    return "unknown object";
}

Location Location::of_instance(const std::string& instance) {
    const char* base = std::getenv("TORII_SHM_DIR");
    return {fmt::format("{}/{}", base && *base ? base : "/dev/shm/torii", instance)};
}
std::string Location::path(std::string_view name) const {
    return fmt::format("{}/{}", directory, name);
}
std::string Location::generation(std::string_view name, uint64_t number) const {
    return fmt::format("{}/{}.{}", directory, name, number);
}
Result<> Location::create() const {
    for (size_t slash = directory.find('/', 1);; slash = directory.find('/', slash + 1)) {
        const std::string part = directory.substr(0, slash);
        if (::mkdir(part.c_str(), 0750) != 0 && errno != EEXIST) return fail_errno(part, errno);
        if (slash == std::string::npos) return {};
    }
}

Mapping::Mapping(Mapping&& o) noexcept
    : data_(std::exchange(o.data_, nullptr)), size_(std::exchange(o.size_, 0)) {}
Mapping& Mapping::operator=(Mapping&& o) noexcept {
    std::swap(data_, o.data_);
    std::swap(size_, o.size_);
    return *this;
}
Mapping::~Mapping() {
    if (data_) ::munmap(data_, size_);
}

Result<Mapping> Mapping::create(const std::string& path, uint64_t size) {
    Descriptor file{::open(path.c_str(), O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0640)};
    if (file.fd < 0) return fail_errno(path, errno);
    // posix_fallocate takes the memory now: writing to a sparse tmpfs file that finds no memory
    // later would be a SIGBUS.
    if (const int e = ::posix_fallocate(file.fd, 0, off_t(size)); e != 0) {
        ::unlink(path.c_str());
        return fail_errno(fmt::format("{}: cannot take {} bytes of shared memory", path, size), e);
    }
    void* p = ::mmap(nullptr, size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_POPULATE, file.fd, 0);
    if (p == MAP_FAILED) {
        const int e = errno;
        ::unlink(path.c_str());
        return fail_errno(path, e);
    }
    Mapping m;
    m.data_ = static_cast<std::byte*>(p);
    m.size_ = size;
    return m;
}

Result<Mapping> Mapping::open(const std::string& path, Access access, bool populate) {
    const bool writable = access == Access::read_write;
    Descriptor file{::open(path.c_str(), (writable ? O_RDWR : O_RDONLY) | O_CLOEXEC)};
    if (file.fd < 0) {
        if (errno == ENOENT)
            return fail(Errc::not_found, fmt::format("{}: {}", path, std::strerror(errno)));
        return fail_errno(path, errno);
    }
    struct stat s;
    if (::fstat(file.fd, &s) != 0) return fail_errno(path, errno);
    if (s.st_size < off_t(sizeof(ObjectHeader)))
        return fail(Errc::layout, fmt::format("{}: only {} bytes, too short for a torii object",
                                              path, s.st_size));
    void* p = ::mmap(nullptr, size_t(s.st_size), writable ? PROT_READ | PROT_WRITE : PROT_READ,
                     MAP_SHARED | (populate ? MAP_POPULATE : 0), file.fd, 0);
    if (p == MAP_FAILED) return fail_errno(path, errno);
    Mapping m;
    m.data_ = static_cast<std::byte*>(p);
    m.size_ = uint64_t(s.st_size);
    return m;
}

void stamp(const Mapping& m, Kind kind, uint64_t layout, bool immutable) {
    fill_header(m.header(), kind, m.size(), layout);
    if (immutable)
        m.header().checksum =
            checksum({m.data() + sizeof(ObjectHeader), m.size() - sizeof(ObjectHeader)});
}

Result<> verify(const Mapping& m, Kind kind, uint64_t layout, const std::string& path,
                bool immutable) {
    const ObjectHeader& h = m.header();
    const auto refuse = [&](std::string why) {
        return fail(Errc::layout, fmt::format("{}: {}", path, why));
    };
    if (std::memcmp(h.magic, kMagic, sizeof kMagic) != 0) return refuse("not a torii object");
    if (h.kind != kind)
        return refuse(fmt::format("holds a {}, not a {}", to_string(h.kind), to_string(kind)));
    if (h.layout_version != kLayoutVersion)
        return refuse(fmt::format("layout version {}, this program has {}", h.layout_version,
                                  kLayoutVersion));
    if (h.layout_hash != layout) return refuse("written by a build with another layout");
    if (h.size != m.size())
        return refuse(fmt::format("truncated: {} bytes, its header says {}", m.size(), h.size));
    if (immutable &&
        h.checksum != checksum({m.data() + sizeof(ObjectHeader), m.size() - sizeof(ObjectHeader)}))
        return refuse("corrupt: the checksum does not match");
    return {};
}

// Made under a temporary name and linked: either it is there whole, or not at all.
Result<Mapping> open_kept(const Location& location, std::string_view name, uint64_t size, Kind kind,
                          uint64_t layout) {
    if (auto made = location.create(); !made) return tl::unexpected(made.error());
    const std::string path = location.path(name);
    auto mapping = Mapping::open(path, Mapping::Access::read_write);
    if (!mapping && mapping.error().code == Errc::not_found) {
        const std::string temporary = fmt::format("{}.{}", path, ::getpid());
        ::unlink(temporary.c_str());
        auto made = Mapping::create(temporary, size);
        if (!made) return tl::unexpected(made.error());
        stamp(*made, kind, layout, false);
        const int rc = ::link(temporary.c_str(), path.c_str());
        const int e = errno;
        ::unlink(temporary.c_str());
        if (rc != 0 && e != EEXIST) return fail_errno(path, e);
        mapping = Mapping::open(path, Mapping::Access::read_write);
    }
    if (!mapping) return mapping;
    if (auto ok = verify(*mapping, kind, layout, path, false); !ok)
        return tl::unexpected(ok.error());
    if (mapping->size() < size)
        return fail(Errc::layout, fmt::format("{}: too short for a {}", path, to_string(kind)));
    return mapping;
}

Result<> write_immutable(const std::string& path, Kind kind, uint64_t layout,
                         std::span<std::byte> content) {
    ObjectHeader h{};
    fill_header(h, kind, content.size(), layout);
    h.checksum = checksum(content.subspan(sizeof h));
    std::memcpy(content.data(), &h, sizeof h);
    const std::string temporary = path + ".tmp";
    {
        Descriptor file{::open(temporary.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0640)};
        if (file.fd < 0) return fail_errno(temporary, errno);
        for (size_t done = 0; done < content.size();) {
            const ssize_t n = ::write(file.fd, content.data() + done, content.size() - done);
            if (n < 0 && errno == EINTR) continue;
            if (n <= 0) {
                const int e = n < 0 ? errno : ENOSPC;
                ::unlink(temporary.c_str());
                return fail_errno(temporary, e);
            }
            done += size_t(n);
        }
    }
    if (::rename(temporary.c_str(), path.c_str()) != 0) return fail_errno(path, errno);
    return {};
}

}  // namespace torii::shm
