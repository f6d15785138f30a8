#pragma once
// TLS for fake servers: certificates made on the spot, and a connection that speaks it.

#include <openssl/pem.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>

#include <cstdio>
#include <memory>
#include <string>

#include "tests/unit/healthcheck/fake_server.h"

namespace torii::healthcheck::test {

/// A key with a certificate that it signed itself, for one name.
class Certificate {
public:
    Certificate(const std::string& name, long seconds_left) : key_(::EVP_EC_gen("P-256")) {
        x509_ = ::X509_new();
        ::X509_set_version(x509_, 2);
        ::ASN1_INTEGER_set(::X509_get_serialNumber(x509_), 1);
        ::X509_gmtime_adj(::X509_getm_notBefore(x509_), -100000);
        ::X509_gmtime_adj(::X509_getm_notAfter(x509_), seconds_left);
        ::X509_set_pubkey(x509_, key_);
        X509_NAME* who = ::X509_get_subject_name(x509_);
        ::X509_NAME_add_entry_by_txt(who, "CN", MBSTRING_ASC,
                                     reinterpret_cast<const unsigned char*>(name.c_str()), -1, -1,
                                     0);
        ::X509_set_issuer_name(x509_, who);
        X509_EXTENSION* names =
            ::X509V3_EXT_conf_nid(nullptr, nullptr, NID_subject_alt_name, ("DNS:" + name).c_str());
        ::X509_add_ext(x509_, names, -1);
        ::X509_EXTENSION_free(names);
        ::X509_sign(x509_, key_, ::EVP_sha256());
    }
    ~Certificate() {
        ::X509_free(x509_);
        ::EVP_PKEY_free(key_);
    }
    Certificate(const Certificate&) = delete;
    void store(const std::string& path) const {
        FILE* f = std::fopen(path.c_str(), "w");
        ::PEM_write_X509(f, x509_);
        std::fclose(f);
    }
    std::shared_ptr<SSL_CTX> context() const {
        std::shared_ptr<SSL_CTX> c(::SSL_CTX_new(::TLS_server_method()), ::SSL_CTX_free);
        ::SSL_CTX_use_certificate(c.get(), x509_);
        ::SSL_CTX_use_PrivateKey(c.get(), key_);
        return c;
    }

private:
    EVP_PKEY* key_;
    X509* x509_;
};

/// The server's side of TLS on a connection; blocks like the rest of a fake server.
class TlsConnection {
public:
    TlsConnection(Connection& c, SSL_CTX* context) : ssl_(::SSL_new(context)) {
        ::SSL_set_fd(ssl_, c.fd());
        accepted_ = ::SSL_accept(ssl_) == 1;
    }
    ~TlsConnection() {
        if (accepted_) ::SSL_shutdown(ssl_);
        ::SSL_free(ssl_);
    }
    bool accepted() const { return accepted_; }
    std::string asked_for() const {
        const char* name = ::SSL_get_servername(ssl_, TLSEXT_NAMETYPE_host_name);
        return name ? name : "";
    }
    bool receive_until(std::string_view text) {
        std::string all;
        while (all.find(text) == all.npos) {
            char piece[4096];
            const int got = accepted_ ? ::SSL_read(ssl_, piece, sizeof piece) : 0;
            if (got <= 0) return false;
            all.append(piece, size_t(got));
        }
        return true;
    }
    bool send(std::string_view text) {
        return accepted_ && ::SSL_write(ssl_, text.data(), int(text.size())) == int(text.size());
    }

private:
    SSL* ssl_;
    bool accepted_;
};

}  // namespace torii::healthcheck::test
