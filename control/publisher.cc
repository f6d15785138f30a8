#include "control/publisher.h"

#include <algorithm>
#include <charconv>
#include <cstring>
#include <filesystem>

#include "dataplane/shm/routes.h"
#include "dataplane/shm/services_file.h"

namespace torii::control {
namespace {

// The number after NAME, or 0 when the file is not one of its generations.
uint64_t number_of(std::string_view file, std::string_view name) {
    if (!file.starts_with(name) || file.size() <= name.size() || file[name.size()] != '.') return 0;
    uint64_t n = 0;
    const char* end = file.data() + file.size();
    const auto [stop, error] = std::from_chars(file.data() + name.size() + 1, end, n);
    return error == std::errc{} && stop == end ? n : 0;
}

// Both headers begin alike: the object's own header, then the generation number.
static_assert(offsetof(shm::ServicesHeader, generation) == sizeof(shm::ObjectHeader));
static_assert(offsetof(shm::RoutesHeader, generation) == sizeof(shm::ObjectHeader));
constexpr size_t kNumber = sizeof(shm::ObjectHeader);

// The object in force as build() made it, or nothing when there is none that can be read.
std::vector<std::byte> in_force(const std::string& path) {
    const auto m = shm::Mapping::open(path, shm::Mapping::Access::read_only, false);
    if (!m || m->size() < kNumber + sizeof(uint64_t)) return {};
    std::vector<std::byte> bytes(m->data(), m->data() + m->size());
    std::fill_n(bytes.begin(), kNumber + sizeof(uint64_t), std::byte{0});
    return bytes;
}

// Memory is compared as such: a generation is megabytes.
bool same(std::span<const std::byte> a, const std::vector<std::byte>& b) {
    return a.size() == b.size() && std::memcmp(a.data(), b.data(), a.size()) == 0;
}

// The whole file first; only then may its number be told.
Result<bool> write(const std::string& path, shm::Kind kind, uint64_t layout, uint64_t number,
                   std::vector<std::byte>& object, std::vector<std::byte>& last) {
    std::memcpy(object.data() + kNumber, &number, sizeof number);
    if (auto ok = shm::write_immutable(path, kind, layout, object); !ok)
        return tl::unexpected(ok.error());
    last = std::move(object);
    std::fill_n(last.begin(), kNumber + sizeof number, std::byte{0});
    return true;
}

}  // namespace

Publisher::Publisher(shm::Location location, shm::ControlBlock& control)
    : location_(std::move(location)),
      control_(control),
      services_(in_force(location_.generation("services", next_services() - 1))),
      routes_(in_force(location_.generation("routes", next_routes() - 1))) {}

uint64_t Publisher::next_services() const {
    return control_.services_generation.load(std::memory_order_relaxed) + 1;
}
uint64_t Publisher::next_routes() const {
    return control_.routes_generation.load(std::memory_order_relaxed) + 1;
}

Result<bool> Publisher::services(std::vector<std::byte> object, std::span<std::byte> piece) {
    const uint64_t n = next_services();
    if (piece.empty() && same(object, services_)) return false;
    if (!piece.empty())
        if (auto ok = shm::write_immutable(location_.generation("pieces", n), shm::Kind::pieces,
                                           shm::kServicesLayout, piece);
            !ok)
            return tl::unexpected(ok.error());
    const auto written = write(location_.generation("services", n), shm::Kind::services,
                               shm::kServicesLayout, n, object, services_);
    if (!written || !*written) return written;
    control_.services_generation.store(n, std::memory_order_release);
    shm::announce(control_);
    return true;
}

Result<bool> Publisher::routes(std::vector<std::byte> object) {
    const uint64_t n = next_routes();
    if (same(object, routes_)) return false;
    const auto written = write(location_.generation("routes", n), shm::Kind::routes,
                               shm::kRoutesLayout, n, object, routes_);
    if (!written || !*written) return written;
    control_.routes_generation.store(n, std::memory_order_release);
    shm::announce(control_);
    return true;
}

void Publisher::remove_superseded() const {
    const uint64_t services = next_services() - 1, routes = next_routes() - 1;
    const std::vector<uint64_t> pieces = shm::pieces_of(services_);
    std::error_code error, ignored;
    auto it = std::filesystem::directory_iterator(location_.directory, error);
    for (; !error && it != std::filesystem::directory_iterator(); it.increment(error)) {
        const std::string name = it->path().filename().string();
        const uint64_t s = number_of(name, "services"), r = number_of(name, "routes");
        const uint64_t p = services_.empty() ? 0 : number_of(name, "pieces");
        if ((s != 0 && s != services) || (r != 0 && r != routes) ||
            (p != 0 && std::ranges::find(pieces, p) == pieces.end()))
            std::filesystem::remove(it->path(), ignored);
    }
}

}  // namespace torii::control
