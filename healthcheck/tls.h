#pragma once
// TLS settings of probes: one OpenSSL context for all checks with the same files, made when first
// needed. One thread.

#include <map>
#include <memory>
#include <string>

#include "config/base/error.h"
#include "config/model/health.h"

namespace boost::asio::ssl {
class context;
}

namespace torii::healthcheck {

class TlsContexts {
public:
    /// Errc::io when one of the files cannot be used.
    torii::Result<std::shared_ptr<boost::asio::ssl::context>> of(const config::TlsHealth&);
    /// Reads all files again when they are next needed.
    void forget() { contexts_.clear(); }

private:
    std::map<std::string, std::shared_ptr<boost::asio::ssl::context>> contexts_;
};

}  // namespace torii::healthcheck
