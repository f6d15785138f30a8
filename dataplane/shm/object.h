#pragma once
// Shared-memory objects: how one is named, recognised, created, attached and refused.
//
// Every object is a file that opens with ObjectHeader. Objects hold indices and offsets, never
// pointers. A process that finds another magic, kind, version, size or layout hash says which and
// does not attach. Paths:
// DIR/INSTANCE/{control,standby,counters,events,connections,services.N,routes.N}.

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>

#include "config/base/error.h"

namespace torii::shm {

enum class Kind : uint32_t {
    control = 1,
    services,
    routes,
    counters,
    events,
    connections,
    pieces,
    standby
};
std::string_view to_string(Kind);

inline constexpr uint32_t kLayoutVersion = 1;

struct ObjectHeader {
    char magic[8];  ///< "TORIISHM"
    Kind kind;
    uint32_t layout_version;  ///< kLayoutVersion of the writer
    uint64_t size;            ///< bytes of the whole object, the file's size
    uint64_t layout_hash;  ///< of the sizes and offsets of the structures inside, see layout_hash()
    uint64_t checksum;     ///< immutable objects: of every byte after the header; otherwise 0
    uint64_t reserved[3];
};
static_assert(sizeof(ObjectHeader) == 64);

/// FNV-1a over a list of sizes and offsets: two programs agree on it only if their structs agree.
constexpr uint64_t layout_hash(std::initializer_list<uint64_t> numbers) {
    uint64_t h = 0xcbf29ce484222325u;
    for (uint64_t n : numbers)
        for (int i = 0; i < 8; ++i) h = (h ^ ((n >> (8 * i)) & 0xff)) * 0x100000001b3u;
    return h;
}

/// Which mix() (services.h) the indices in objects were made with; part of their layout.
inline constexpr uint64_t kMixing = 2;

/// Where an instance's objects lie. The default directory is /dev/shm/torii, or $TORII_SHM_DIR.
struct Location {
    std::string directory;  ///< e.g. /dev/shm/torii/edge1, no trailing slash
    static Location of_instance(const std::string& instance);
    std::string path(std::string_view name) const;                         ///< DIR/name
    std::string generation(std::string_view name, uint64_t number) const;  ///< DIR/name.N
    Result<> create() const;                                               ///< mkdir -p, mode 0750
};

/// A mapped file. Unmaps on destruction; never unlinks.
class Mapping {
public:
    enum class Access { read_only, read_write };
    enum class Pages { ordinary, huge };  ///< huge: the file lies on hugetlbfs

    Mapping() = default;
    Mapping(Mapping&&) noexcept;
    Mapping& operator=(Mapping&&) noexcept;
    Mapping(const Mapping&) = delete;
    Mapping& operator=(const Mapping&) = delete;
    ~Mapping();

    /// Creates PATH (must not exist) with `size` bytes of zeros, mapped read-write and pre-faulted
    /// (so that a lack of memory is an error here and not a SIGBUS later).
    static Result<Mapping> create(const std::string& path, uint64_t size);
    /// Maps an existing file whole. `populate` touches every page first.
    static Result<Mapping> open(const std::string& path, Access, bool populate = true);

    std::byte* data() const { return data_; }
    uint64_t size() const { return size_; }
    explicit operator bool() const { return data_ != nullptr; }
    template <class T>
    T* at(uint64_t offset) const {
        return reinterpret_cast<T*>(data_ + offset);
    }
    ObjectHeader& header() const { return *at<ObjectHeader>(0); }

private:
    std::byte* data_ = nullptr;
    uint64_t size_ = 0;
};

/// Fills in a header. Call last, when the object is complete.
void stamp(const Mapping&, Kind, uint64_t layout_hash, bool immutable);
/// Refuses (Errc::layout) with a sentence what is not a whole, intact object of this kind and
/// layout.
Result<> verify(const Mapping&, Kind, uint64_t layout_hash, const std::string& path,
                bool immutable);

/// Opens DIR/NAME, which both daemons write to and keep, for reading and writing; makes it of zeros
/// when it is not there. A truncated or foreign file, or one shorter than `size`, is an error.
Result<Mapping> open_kept(const Location&, std::string_view name, uint64_t size, Kind,
                          uint64_t layout_hash);

/// Writes `content` (header included, stamped by this call) to PATH atomically: a temporary file in
/// the same directory, then rename. Readers see the old file, or the new one whole.
Result<> write_immutable(const std::string& path, Kind, uint64_t layout_hash,
                         std::span<std::byte> content);

/// Part of an object: an array of `count` T at `offset` bytes from the object's start.
struct Section {
    uint32_t offset = 0;
    uint32_t count = 0;
    friend bool operator==(const Section&, const Section&) = default;
};
/// True if the section lies inside an object of `size` bytes and is aligned for T.
template <class T>
bool inside(const Section& s, uint64_t size) {
    return s.offset % alignof(T) == 0 && s.offset <= size &&
           uint64_t(s.count) * sizeof(T) <= size - s.offset;
}

}  // namespace torii::shm
