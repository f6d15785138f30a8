#include "healthcheck/result.h"

#include <cerrno>
#include <cstring>

namespace torii::healthcheck {
namespace {

Reason reason_of(int error) {
    switch (error) {
        case ECONNREFUSED:
            return Reason::refused;
        case ETIMEDOUT:
            return Reason::timeout;
        case ECONNRESET:
        case EPIPE:
            return Reason::reset;
        case EHOSTUNREACH:
        case ENETUNREACH:
        case EHOSTDOWN:
        case ENETDOWN:
        case ENONET:
        case EACCES:
        case EPERM:
        case ENOPROTOOPT:
        case EPROTO:
            return Reason::unreachable;
        default:
            return Reason::local;
    }
}

}  // namespace

Result failed(int error) {
    Result r;
    r.reason = reason_of(error);
    if (r.reason == Reason::unreachable || r.reason == Reason::local)
        r.detail = std::strerror(error);
    return r;
}

}  // namespace torii::healthcheck
