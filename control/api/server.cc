#include "control/api/server.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <grp.h>
#include <sys/stat.h>
#include <unistd.h>

#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/local/stream_protocol.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/beast/core/basic_stream.hpp>
#include <boost/beast/core/flat_buffer.hpp>
#include <boost/beast/http.hpp>
#include <cerrno>
#include <cstring>
#include <filesystem>
#include <optional>
#include <set>

namespace torii::api {
namespace {

namespace asio = boost::asio;
namespace beast = boost::beast;
namespace http = boost::beast::http;
using Code = boost::system::error_code;

// What a Server and its sessions share. Sessions hold it by shared_ptr, so that a completion that
// arrives after the server is gone finds it, closed.
struct Shared {
    Handler handler;
    Limits limits;
    bool closed = false;
    unsigned clients = 0;
    std::function<void()> room;  // called when a client has gone
};

template <class Protocol>
class Session : public std::enable_shared_from_this<Session<Protocol>> {
public:
    using Stream = beast::basic_stream<Protocol>;
    using Socket = typename Protocol::socket;

    Session(Socket socket, std::shared_ptr<Shared> shared)
        : stream_(std::move(socket)), shared_(std::move(shared)) {
        ++shared_->clients;
    }
    ~Session() {
        --shared_->clients;
        if (!shared_->closed && shared_->room) shared_->room();
    }

    // Waits for the first byte as long as a client may be idle, then for the rest a shorter time.
    void wait() {
        if (shared_->closed) return;
        if (buffer_.size() > 0) return read();
        stream_.expires_after(shared_->limits.idle);
        stream_.async_read_some(buffer_.prepare(1024),
                                [self = this->shared_from_this()](Code error, size_t n) {
                                    if (error) return;
                                    self->buffer_.commit(n);
                                    self->read();
                                });
    }

private:
    void read() {
        parser_.emplace();
        parser_->header_limit(shared_->limits.header_bytes);
        parser_->body_limit(shared_->limits.body_bytes);
        stream_.expires_after(shared_->limits.request);
        http::async_read(
            stream_, buffer_, *parser_,
            [self = this->shared_from_this()](Code error, size_t) { self->answer(error); });
    }

    void answer(Code error) {
        if (shared_->closed) return;
        if (error == http::error::end_of_stream || error == beast::error::timeout) return;
        Reply reply;
        bool keep = false;
        head_ = false;
        if (error) {
            if (error.category() != http::make_error_code(http::error::bad_method).category())
                return;  // the transport, not the request, is at fault
            reply.status = error == http::error::header_limit ? 431
                           : error == http::error::body_limit ? 413
                                                              : 400;
            reply.type = "text/plain";
            reply.body = fmt::format("the request cannot be read: {}\n", error.message());
        } else {
            const auto& m = parser_->get();
            const std::string target(m.target());
            const size_t mark = target.find('?');
            head_ = m.method() == http::verb::head;
            keep = m.keep_alive();
            reply = shared_->handler(
                {head_ ? "GET" : std::string(m.method_string()), target.substr(0, mark),
                 mark == std::string::npos ? "" : target.substr(mark + 1), m.body()});
        }
        reply.more ? send_pieces(std::move(reply), keep) : send(std::move(reply), keep);
    }

    template <class Message>
    void fill(Message& m, const Reply& reply, bool keep) {
        m.version(11);
        m.result(reply.status);
        m.set(http::field::content_type, reply.type);
        m.set(http::field::cache_control, "no-store");
        m.keep_alive(keep);
    }

    void send(Reply reply, bool keep) {
        fill(whole_, reply, keep);
        whole_.body() = std::move(reply.body);
        whole_.prepare_payload();
        if (head_) whole_.body().clear();
        stream_.expires_after(shared_->limits.write);
        http::async_write(stream_, whole_,
                          [self = this->shared_from_this(), keep](Code error, size_t) {
                              self->whole_ = {};
                              self->done(error, keep);
                          });
    }

    void send_pieces(Reply reply, bool keep) {
        pieces_ = {};
        fill(pieces_, reply, keep);
        pieces_.chunked(true);
        more_ = std::move(reply.more);
        wait_ = std::move(reply.wait);
        serializer_.emplace(pieces_);
        stream_.expires_after(shared_->limits.write);
        http::async_write_header(stream_, *serializer_,
                                 [self = this->shared_from_this(), keep](Code error, size_t) {
                                     if (error || self->head_) return self->done(error, keep);
                                     self->next_piece(keep);
                                 });
    }

    void next_piece(bool keep) {
        if (shared_->closed) return;
        piece_.clear();
        const bool again = more_(piece_);
        if (piece_.empty() && again) {  // nothing found yet: let others run first
            auto go_on = [self = this->shared_from_this(), keep] {
                asio::post(self->stream_.get_executor(), [self, keep] { self->next_piece(keep); });
            };
            wait_ ? wait_(std::move(go_on)) : go_on();
            return;
        }
        stream_.expires_after(shared_->limits.write);
        const auto sent = [self = this->shared_from_this(), keep, again](Code error, size_t) {
            if (error || !again) {
                self->more_ = nullptr;
                self->wait_ = nullptr;
                return self->done(error, keep);
            }
            self->next_piece(keep);
        };
        write_piece(again, sent);
    }

    template <class Sent>
    void write_piece(bool again, Sent sent) {
        if (piece_.empty()) return asio::async_write(stream_, http::make_chunk_last(), sent);
        const auto body = asio::buffer(piece_);
        if (again) return asio::async_write(stream_, http::make_chunk(body), sent);
        asio::async_write(stream_, http::make_chunk(body),
                          [self = this->shared_from_this(), sent](Code error, size_t n) {
                              if (error) return sent(error, n);
                              asio::async_write(self->stream_, http::make_chunk_last(), sent);
                          });
    }

    void done(Code error, bool keep) {
        if (error) return;
        if (keep) return wait();
        Code ignored;
        stream_.socket().shutdown(Socket::shutdown_send, ignored);
    }

    Stream stream_;
    std::shared_ptr<Shared> shared_;
    beast::flat_buffer buffer_{16384 + 65536};
    std::optional<http::request_parser<http::string_body>> parser_;
    http::response<http::string_body> whole_;
    http::response<http::empty_body> pieces_;
    std::optional<http::response_serializer<http::empty_body>> serializer_;
    std::function<bool(std::string&)> more_;
    std::function<void(std::function<void()>)> wait_;
    std::string piece_;
    bool head_ = false;
};

template <class Protocol>
class Listener : public Server {
public:
    Listener(typename Protocol::acceptor acceptor, Handler handler, Limits limits)
        : acceptor_(std::move(acceptor)),
          shared_(std::make_shared<Shared>()),
          retry_(acceptor_.get_executor()) {
        shared_->handler = std::move(handler);
        shared_->limits = limits;
        shared_->room = [this] { accept(); };
        accept();
    }
    ~Listener() override {
        shared_->closed = true;
        shared_->handler = nullptr;
        shared_->room = nullptr;
        if (!path_.empty()) ::unlink(path_.c_str());
    }
    uint16_t port() const override {
        if constexpr (std::is_same_v<Protocol, asio::ip::tcp>)
            return acceptor_.local_endpoint().port();
        return 0;
    }
    const std::string& warning() const override { return warning_; }
    void own(std::string path, std::string warning) {
        path_ = std::move(path);
        warning_ = std::move(warning);
    }

private:
    void accept() {
        if (waiting_ || shared_->clients >= shared_->limits.clients) return;
        waiting_ = true;
        acceptor_.async_accept([this, shared = shared_](Code error, auto socket) {
            if (shared->closed || error == asio::error::operation_aborted) return;
            waiting_ = false;
            if (!error) {
                std::make_shared<Session<Protocol>>(std::move(socket), shared)->wait();
                return accept();
            }
            // Out of descriptors, most likely: trying again at once would only burn the core.
            retry_.expires_after(std::chrono::milliseconds(100));
            retry_.async_wait([this, shared](Code e) {
                if (!e && !shared->closed) accept();
            });
        });
    }

    typename Protocol::acceptor acceptor_;
    std::shared_ptr<Shared> shared_;
    asio::steady_timer retry_;
    std::string path_, warning_;
    bool waiting_ = false;
};

// Whether somebody answers at the socket.
bool served(asio::io_context& io, const std::string& path) {
    asio::local::stream_protocol::socket probe(io);
    Code error;
    probe.connect({path}, error);
    return !error;
}

Result<> prepare(asio::io_context& io, const std::string& path) {
    if (path.size() >= 108)
        return fail(Errc::invalid, fmt::format("{}: longer than a socket's path may be", path));
    const std::filesystem::path directory = std::filesystem::path(path).parent_path();
    std::error_code error;
    if (!directory.empty()) std::filesystem::create_directories(directory, error);
    if (error) return fail(Errc::io, fmt::format("{}: {}", directory.string(), error.message()));
    struct stat st;
    if (::lstat(path.c_str(), &st) != 0) return {};
    if (!S_ISSOCK(st.st_mode))
        return fail(Errc::exists, fmt::format("{} is there and is no socket", path));
    if (served(io, path)) return fail(Errc::busy, fmt::format("another process serves {}", path));
    if (::unlink(path.c_str()) != 0) return fail_errno(path, errno);
    return {};
}

// The group's members may use the socket; without one only root may.
std::string give_to(const std::string& path, const std::string& group) {
    if (group.empty()) return {};
    const struct group* g = ::getgrnam(group.c_str());
    if (g == nullptr) return fmt::format("there is no group {}: only root can use {}", group, path);
    if (::chown(path.c_str(), uid_t(-1), g->gr_gid) != 0)
        return fmt::format("{} cannot be given to group {}: {}", path, group, std::strerror(errno));
    return {};
}

}  // namespace

Result<std::unique_ptr<Server>> Server::listen_unix(asio::io_context& io, const std::string& path,
                                                    const std::string& group, Handler handler,
                                                    Limits limits) {
    using Local = asio::local::stream_protocol;
    if (auto ok = prepare(io, path); !ok) return tl::unexpected(ok.error());
    Local::acceptor acceptor(io);
    Code error;
    acceptor.open(Local(), error);
    const mode_t old = ::umask(0117);  // no moment in which everybody may connect
    if (!error) acceptor.bind({path}, error);
    ::umask(old);
    if (!error) acceptor.listen(asio::socket_base::max_listen_connections, error);
    if (error) return fail(Errc::io, fmt::format("{}: {}", path, error.message()));
    auto server =
        std::make_unique<Listener<Local>>(std::move(acceptor), std::move(handler), limits);
    server->own(path, give_to(path, group));
    return server;
}

Result<std::unique_ptr<Server>> Server::listen_tcp(asio::io_context& io, const Endpoint& at,
                                                   Handler handler, Limits limits) {
    using Tcp = asio::ip::tcp;
    asio::ip::address address;
    if (at.address.is_v4()) {
        address = asio::ip::address_v4(at.address.as_v4().host());
    } else {
        address = asio::ip::address_v6(at.address.bytes);
    }
    const Tcp::endpoint endpoint(address, at.port);
    Tcp::acceptor acceptor(io);
    Code error;
    acceptor.open(endpoint.protocol(), error);
    if (!error) acceptor.set_option(Tcp::acceptor::reuse_address(true), error);
    if (!error) acceptor.bind(endpoint, error);
    if (!error) acceptor.listen(asio::socket_base::max_listen_connections, error);
    if (error) return fail(Errc::io, fmt::format("{}: {}", to_string(at), error.message()));
    return std::make_unique<Listener<Tcp>>(std::move(acceptor), std::move(handler), limits);
}

}  // namespace torii::api
