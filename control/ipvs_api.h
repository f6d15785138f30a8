#pragma once
// The part of the API that ipvsadm uses: /v1/ipvs and /v1/config/diff.

#include "control/api/server.h"
#include "control/engine.h"
#include "control/runtime.h"

namespace torii::control {

/// What the answers are made from, and how a change is put into force.
struct IpvsApi {
    Runtime& runtime;
    const Engine& engine;
    const DataplaneLink& link;
    Runtime::Apply apply;
};

/// Whether the path belongs to this part.
bool is_ipvs_path(std::string_view path);

/// GET /v1/ipvs: table size and timeouts. GET /v1/ipvs/services[?tcp=ADDRESS:PORT]: a JSON object a
/// line; /v1/ipvs/rows, with the same query: api/rows.h. POST /v1/ipvs: one command or a list of
/// them (api/ipvs.h). `full`: changes are allowed.
api::Reply answer_ipvs(const IpvsApi&, const api::Request&, bool full);

}  // namespace torii::control
