#include "healthcheck/stream.h"

#include <fmt/format.h>
#include <openssl/x509v3.h>
#include <poll.h>
#include <sys/socket.h>

#include <boost/asio/ssl/error.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <boost/asio/write.hpp>

#include "healthcheck/checkers.h"
#include "healthcheck/source.h"

namespace torii::healthcheck {

namespace asio = boost::asio;
namespace ssl = asio::ssl;
using asio::use_awaitable;
using boost::system::system_error;
using tcp = asio::ip::tcp;

namespace {

bool is_end(const boost::system::error_code& e) {
    return e == asio::error::eof || e == ssl::error::stream_truncated;
}

std::string why(const SSL* ssl, const system_error& e) {
    const long verified = ::SSL_get_verify_result(ssl);
    if (verified != X509_V_OK) return ::X509_verify_cert_error_string(verified);
    return is_end(e.code()) ? "the server ended the handshake" : e.code().message();
}

}  // namespace

Stream::Task<> Stream::connect(Environment& e, const Request& r) {
    tls_.reset();
    const char* what = "";
    const Endpoint to = r.target.peer();
    auto opened = open_socket(e, r, SOCK_STREAM, 0, &what);
    if (!opened) throw Failure{Reason::local, cannot(what, opened.error()).detail};
    const auto protocol = to.address.is_v4() ? tcp::v4() : tcp::v6();
    socket_.assign(protocol, opened->release());
    sockaddr_storage raw;
    tcp::endpoint endpoint;
    const size_t size = to_sockaddr(to, raw);
    endpoint.resize(size);
    std::memcpy(endpoint.data(), &raw, size);  // its own size() goes by the family it had before
    connecting_ = true;
    co_await socket_.async_connect(endpoint, use_awaitable);
    connecting_ = false;
}

bool Stream::has_news() const {
    if (!socket_.is_open()) return false;
    pollfd wanted{socket_.native_handle(), short(connecting_ ? POLLOUT : POLLIN), 0};
    return ::poll(&wanted, 1, 0) > 0;
}

Stream::Task<> Stream::secure(std::shared_ptr<ssl::context> context, std::string name, Address peer,
                              bool verify) {
    if (!waiting_.empty())  // or a stranger's words would pass for the server's
        throw Failure{Reason::tls, "the server went on talking before TLS began"};
    context_ = std::move(context);
    tls_ = std::make_unique<ssl::stream<tcp::socket&>>(socket_, *context_);
    SSL* raw = tls_->native_handle();
    if (!name.empty() && !parse_address(name)) ::SSL_set_tlsext_host_name(raw, name.c_str());
    tls_->set_verify_mode(verify ? ssl::verify_peer : ssl::verify_none);
    // By OpenSSL itself, which says what is wrong with the name.
    const bool number = name.empty() || parse_address(name);
    if (verify && number)
        ::X509_VERIFY_PARAM_set1_ip_asc(::SSL_get0_param(raw),
                                        (name.empty() ? to_string(peer) : name).c_str());
    else if (verify)
        ::SSL_set1_host(raw, name.c_str());
    std::optional<std::string> problem;
    try {
        co_await tls_->async_handshake(ssl::stream_base::client, use_awaitable);
    } catch (const system_error& e) {
        if (e.code() == asio::error::operation_aborted) throw;
        if (e.code() == asio::error::connection_reset) throw;
        problem = why(raw, e);
    }
    if (problem) throw Failure{Reason::tls, *problem};
}

Stream::Task<> Stream::send(std::string text) {
    if (tls_)
        co_await asio::async_write(*tls_, asio::buffer(text), use_awaitable);
    else
        co_await asio::async_write(socket_, asio::buffer(text), use_awaitable);
}

Stream::Task<std::string> Stream::receive(size_t most) {
    if (!waiting_.empty()) {
        std::string piece = waiting_.substr(0, most);
        waiting_.erase(0, piece.size());
        co_return piece;
    }
    std::string piece(most, '\0');
    size_t got = 0;
    try {
        if (tls_)
            got = co_await tls_->async_read_some(asio::buffer(piece), use_awaitable);
        else
            got = co_await socket_.async_read_some(asio::buffer(piece), use_awaitable);
    } catch (const system_error& e) {
        if (!is_end(e.code())) throw;
    }
    piece.resize(got);
    co_return piece;
}

Stream::Task<std::string> Stream::line(size_t most) {
    std::string text;
    for (;;) {
        const std::string piece = co_await receive(1024);
        if (piece.empty())
            throw Failure{Reason::closed,
                          "the server closed the connection in the middle of its answer"};
        const size_t end = piece.find('\n');
        text += piece.substr(0, end);
        if (text.size() > most)
            throw Failure{Reason::too_large, fmt::format("a line of more than {} bytes", most)};
        if (end == piece.npos) continue;
        waiting_.insert(0, piece.substr(end + 1));
        if (text.ends_with('\r')) text.pop_back();
        co_return text;
    }
}

Stream::Task<std::string> Stream::bytes(size_t count) {
    std::string text;
    while (text.size() < count) {
        const std::string piece = co_await receive(count - text.size());
        if (piece.empty())
            throw Failure{Reason::closed,
                          "the server closed the connection in the middle of its answer"};
        text += piece;
    }
    co_return text;
}

std::optional<int> Stream::days_left() const {
    if (!tls_) return std::nullopt;
    X509* certificate = ::SSL_get1_peer_certificate(tls_->native_handle());
    if (certificate == nullptr) return std::nullopt;
    int days = 0, seconds = 0;
    const int known = ::ASN1_TIME_diff(&days, &seconds, nullptr, ::X509_get0_notAfter(certificate));
    ::X509_free(certificate);
    return known == 1 ? std::optional(days) : std::nullopt;
}

void Stream::close() {
    boost::system::error_code ignored;
    socket_.close(ignored);
    waiting_.clear();
}

}  // namespace torii::healthcheck
