#pragma once
// Stream: a TCP connection of a probe, with or without TLS, for coroutines. What goes wrong is
// thrown as a Failure, which ends in converse(); nothing leaves the folder.

// Boost 1.74's awaitable.hpp needs <utility> and does not include it.
// clang-format off
#include <utility>
#include <boost/asio/awaitable.hpp>
// clang-format on
#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/ssl/context.hpp>
#include <boost/asio/ssl/stream.hpp>
#include <optional>
#include <span>

#include "healthcheck/probe.h"

namespace torii::healthcheck {

struct Failure {
    Reason reason;
    std::string detail;
};

class Stream {
public:
    template <class T = void>
    using Task = boost::asio::awaitable<T>;

    explicit Stream(boost::asio::io_context& loop) : loop_(loop), socket_(loop) {}

    /// To the target's peer.
    Task<> connect(Environment&, const Request&);
    /// Begins TLS. An empty name asks for none (no SNI); `peer` is what is verified then.
    Task<> secure(std::shared_ptr<boost::asio::ssl::context>, std::string name, Address peer,
                  bool verify);
    Task<> send(std::string);
    /// What has arrived, at most `most` bytes; empty at the end of the stream.
    Task<std::string> receive(size_t most);
    /// A line without its end (LF or CRLF); longer ones are a failure.
    Task<std::string> line(size_t most);
    /// Exactly so many bytes.
    Task<std::string> bytes(size_t count);
    /// Whether the kernel has something that was not taken: an answer, an end, or a connection
    /// that stands.
    bool has_news() const;
    /// Days until the certificate of the TLS peer ends; none without TLS.
    std::optional<int> days_left() const;
    /// The connection ends; a coroutine that waits for it fails. Then it may connect again.
    void close();

private:
    boost::asio::io_context& loop_;
    mutable boost::asio::ip::tcp::socket socket_;
    bool connecting_ = false;
    std::shared_ptr<boost::asio::ssl::context> context_;
    std::unique_ptr<boost::asio::ssl::stream<boost::asio::ip::tcp::socket&>> tls_;
    std::string waiting_;  // received, not yet taken
};

}  // namespace torii::healthcheck
