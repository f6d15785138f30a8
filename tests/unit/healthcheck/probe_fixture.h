#pragma once
// What every test of a probe needs: settings of a type, an address where nobody is, one probe.

#include <gtest/gtest.h>

#include "tests/unit/healthcheck/fake_server.h"
#include "tests/unit/healthcheck/prober.h"

namespace torii::healthcheck {

inline config::Health settings(config::HealthType type,
                               Duration timeout = std::chrono::seconds(5)) {
    config::Health h;
    h.type = type;
    h.timeout = timeout;
    return h;
}
inline constexpr Duration kSoon = std::chrono::milliseconds(300);

/// A port of loopback that nobody listens on.
inline Endpoint nobody(int type = SOCK_STREAM) {
    const int fd = test::bound(type);
    const Endpoint at = test::loopback(test::port_of(fd));
    ::close(fd);
    return at;
}

class Probes : public ::testing::Test {
protected:
    test::OneProbe probe;
};

}  // namespace torii::healthcheck
