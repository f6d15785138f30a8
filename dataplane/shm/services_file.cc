#include "dataplane/shm/services_file.h"

#include <algorithm>
#include <cstring>

namespace torii::shm {
namespace {

Result<std::shared_ptr<const Piece>> open_piece(const Location& location, uint64_t number) {
    const std::string path = location.generation("pieces", number);
    auto mapping = Mapping::open(path, Mapping::Access::read_only);
    if (!mapping) return tl::unexpected(mapping.error());
    if (auto ok = verify(*mapping, Kind::pieces, kServicesLayout, path, true); !ok)
        return tl::unexpected(ok.error());
    return std::make_shared<const Piece>(Piece{number, std::move(*mapping)});
}

std::shared_ptr<const Piece> find(const ServicesFile* known, uint64_t number) {
    if (known == nullptr) return nullptr;
    const auto it =
        std::ranges::find(known->pieces(), number, [](const auto& p) { return p->number; });
    return it == known->pieces().end() ? nullptr : *it;
}

}  // namespace

std::vector<uint64_t> pieces_of(Bytes object) {
    ServicesHeader h;
    if (object.size() < sizeof h) return {};
    std::memcpy(&h, object.data(), sizeof h);
    if (!inside<uint64_t>(h.pieces, object.size())) return {};
    std::vector<uint64_t> numbers(h.pieces.count);
    if (!numbers.empty())
        std::memcpy(numbers.data(), object.data() + h.pieces.offset, numbers.size() * 8);
    return numbers;
}

Result<ServicesFile> ServicesFile::open(const Location& location, uint64_t number,
                                        const ServicesFile* known) {
    const std::string path = location.generation("services", number);
    auto mapping = Mapping::open(path, Mapping::Access::read_only);
    if (!mapping) return tl::unexpected(mapping.error());
    if (auto ok = verify(*mapping, Kind::services, kServicesLayout, path, true); !ok)
        return tl::unexpected(ok.error());
    ServicesFile file;
    file.number_ = number;
    file.mapping_ = std::make_shared<const Mapping>(std::move(*mapping));
    for (const uint64_t n : pieces_of(file.bytes())) {
        auto piece = find(known, n);
        if (!piece) {
            auto opened = open_piece(location, n);
            if (!opened) return tl::unexpected(opened.error());
            piece = std::move(*opened);
        }
        file.pieces_.push_back(std::move(piece));
    }
    return file;
}

ServicesFile ServicesFile::of(std::vector<std::byte> object) {
    ServicesFile file;
    file.built_ = std::make_shared<const std::vector<std::byte>>(std::move(object));
    return file;
}

Bytes ServicesFile::bytes() const {
    if (mapping_) return {mapping_->data(), mapping_->size()};
    return built_ ? Bytes(*built_) : Bytes{};
}

Result<Services> ServicesFile::view(const Services* checked) const {
    std::vector<Bytes> pieces;
    for (const auto& p : pieces_) pieces.push_back(p->bytes());
    return Services::view(bytes(), pieces, checked);
}

}  // namespace torii::shm
