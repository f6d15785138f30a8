#pragma once
// Services as ipvsadm asks for them: a line a service and a line a server, their fields between
// tabs. JSON says the same and more, at several times the cost: a listing may have tens of
// thousands of servers. For programs of one release; everybody else reads the JSON.

#include <string>
#include <string_view>

#include "control/api/model.h"

namespace torii::api {

/// Appends the service's line and those of its destinations. Without names and next hops.
void append_rows(std::string& out, const Service&);

/// Takes one line: a service is appended, a destination goes to the last one. False for a line that
/// append_rows() does not make.
bool take_row(std::vector<Service>& all, std::string_view line);

}  // namespace torii::api
