#pragma once
// ipvsadm 1.31's listings, byte for byte. Pure functions of what toriid tells.

#include <string>

#include "control/api/model.h"
#include "control/cli/names.h"

namespace torii::cli {

enum class Listing : uint8_t { plain, stats, rate, thresholds, persistent, tunnels };

struct ListOptions {
    Listing listing = Listing::plain;
    bool exact = false;   ///< --exact: no K, M, G
    bool sorted = true;   ///< false: --nosort
    bool version = true;  ///< the first line; a list of one service has none
};

std::string list_services(const api::Services&, const ListOptions&, const Names&);

/// The commands that make the same table (ipvsadm -S); thresholds are not among them.
std::string save_services(const api::Services&, const Names&);

/// `engine`: with the columns of persistence engines.
std::string connections_title(bool engine = false);
std::string connection_row(const api::Connection&, const Names&);

}  // namespace torii::cli
