#pragma once
// HTTP/1.1 over a unix or a TCP socket, inside an event loop that it never holds up: long replies
// are made piece by piece, and slow or silent clients are dropped after a while.
//
// Thread-safety: everything happens in the thread that runs the io_context.

#include <chrono>
#include <functional>
#include <memory>
#include <string>

#include "config/base/address.h"
#include "config/base/error.h"

namespace boost::asio {
class io_context;
}

namespace torii::api {

struct Request {
    std::string method;  ///< GET, POST ...
    std::string path;    ///< without the query
    std::string query;   ///< after the question mark, as it was sent
    std::string body;
};

struct Reply {
    unsigned status = 200;
    std::string type = "application/json";
    std::string body;
    /// Where set, the reply is chunked: `more` appends the next piece and says whether there is yet
    /// another one. Each call must be short; other events run between two calls.
    std::function<bool(std::string& piece)> more = {};
    /// Where set, a `more` that found nothing is not called again before `resume` is.
    std::function<void(std::function<void()> resume)> wait = {};
};

using Handler = std::function<Reply(const Request&)>;

struct Limits {
    uint32_t header_bytes = 8192;
    uint64_t body_bytes = 65536;
    std::chrono::milliseconds idle{30000};    ///< between two requests of a client
    std::chrono::milliseconds request{5000};  ///< from a request's first byte to its last
    std::chrono::milliseconds write{30000};   ///< for a client to take one piece
    unsigned clients = 64;                    ///< further ones wait until one goes
};

class Server {
public:
    /// Makes PATH (and its directory, mode 0755), replacing a socket that nobody serves; Errc::busy
    /// when somebody does. Mode 0660, and `group` where it is not empty and exists.
    static Result<std::unique_ptr<Server>> listen_unix(boost::asio::io_context&,
                                                       const std::string& path,
                                                       const std::string& group, Handler,
                                                       Limits = {});
    static Result<std::unique_ptr<Server>> listen_tcp(boost::asio::io_context&, const Endpoint&,
                                                      Handler, Limits = {});
    /// Closes the socket, lets every session end at its next step, removes the unix socket's file.
    virtual ~Server() = default;
    /// The TCP port that is listened on (for tests, which ask for port 0).
    virtual uint16_t port() const = 0;
    /// Sentences about what could not be done but is no reason to fail (an unknown group).
    virtual const std::string& warning() const = 0;
};

}  // namespace torii::api
