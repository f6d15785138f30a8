#pragma once
// ipvsadm 1.31's listings, byte for byte. Pure functions of what toriid tells.

#include <string>

#include "control/api/model.h"
#include "control/cli/names.h"

namespace torii::cli {

enum class Listing : uint8_t { plain, stats, thresholds, persistent };

struct ListOptions {
    Listing listing = Listing::plain;
    bool exact = false;   ///< --exact: no K, M, G
    bool sorted = true;   ///< false: --nosort
    bool version = true;  ///< the first line; a list of one service has none
};

std::string list_services(const api::Services&, const ListOptions&, const Names&);

std::string connections_title();
std::string connection_row(const api::Connection&, const Names&);

}  // namespace torii::cli
