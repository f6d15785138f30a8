#include "healthcheck/tls.h"

#include <fmt/format.h>

#include <boost/asio/ssl/context.hpp>

namespace torii::healthcheck {

namespace ssl = boost::asio::ssl;
using Code = boost::system::error_code;

namespace {

tl::unexpected<Error> bad_file(std::string_view what, const std::string& file, const Code& error) {
    return fail(Errc::io, fmt::format("{} {}: {}", what, file, error.message()));
}

torii::Result<> load(ssl::context& c, const config::TlsHealth& tls) {
    Code error;
    if (tls.verify && tls.ca.empty()) c.set_default_verify_paths(error);
    if (error) return bad_file("the system's authorities", "", error);
    if (!tls.ca.empty()) c.load_verify_file(tls.ca, error);
    if (error) return bad_file("tls.ca", tls.ca, error);
    if (!tls.certificate.empty()) c.use_certificate_chain_file(tls.certificate, error);
    if (error) return bad_file("tls.certificate", tls.certificate, error);
    const std::string& key = tls.key.empty() ? tls.certificate : tls.key;
    if (!key.empty()) c.use_private_key_file(key, ssl::context::pem, error);
    if (error) return bad_file("tls.key", key, error);
    return {};
}

}  // namespace

torii::Result<std::shared_ptr<ssl::context>> TlsContexts::of(const config::TlsHealth& tls) {
    const std::string key =
        fmt::format("{}\n{}\n{}\n{}", tls.verify, tls.ca, tls.certificate, tls.key);
    if (const auto known = contexts_.find(key); known != contexts_.end()) return known->second;
    auto context = std::make_shared<ssl::context>(ssl::context::tls_client);
    // Without verification the question is only whether the server talks TLS, however old it is.
    if (!tls.verify) {
        ::SSL_CTX_set_cipher_list(context->native_handle(), "DEFAULT:@SECLEVEL=0");
        ::SSL_CTX_set_min_proto_version(context->native_handle(), TLS1_VERSION);
    }
    if (auto ok = load(*context, tls); !ok) return tl::unexpected(ok.error());
    return contexts_.emplace(key, std::move(context)).first->second;
}

}  // namespace torii::healthcheck
