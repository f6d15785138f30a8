#pragma once
// The compiled kernel programs, embedded so that torii needs no installed data files.

#include <cstddef>
#include <span>

namespace torii::xdp {

std::span<const std::byte> xdp_object();    ///< ELF object: program torii_xdp, map xsks_map
std::span<const std::byte> guard_object();  ///< ELF object: program torii_guard

}  // namespace torii::xdp
