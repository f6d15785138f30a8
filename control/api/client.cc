#include "control/api/client.h"

#include <boost/asio/io_context.hpp>
#include <boost/asio/local/stream_protocol.hpp>
#include <boost/beast/core/basic_stream.hpp>
#include <boost/beast/core/flat_buffer.hpp>
#include <boost/beast/http.hpp>
#include <optional>

namespace torii::api {
namespace {

namespace asio = boost::asio;
namespace beast = boost::beast;
namespace http = boost::beast::http;
using Code = boost::system::error_code;
using Local = asio::local::stream_protocol;
using std::chrono::milliseconds;

constexpr uint64_t kLargestBody = uint64_t{256} << 20;

// Runs one asynchronous operation to its end, so that a timeout applies to it.
class Connection {
public:
    Connection(std::string path, milliseconds timeout)
        : stream_(io_), path_(std::move(path)), timeout_(timeout) {}

    Result<> send(std::string_view method, const std::string& target, std::string body) {
        if (path_.size() >= 108) return fail(Errc::invalid, path_ + ": path too long");
        arm();
        Code error = asio::error::would_block;
        stream_.async_connect(Local::endpoint(path_), [&](Code e) { error = e; });
        io_.run();
        if (error) return failed(error);
        http::request<http::string_body> request;
        request.method_string(std::string(method));
        request.target(target);
        request.version(11);
        request.set(http::field::host, "torii");
        request.body() = std::move(body);
        request.prepare_payload();
        request.keep_alive(false);
        arm();
        http::async_write(stream_, request, [&](Code e, size_t) { error = e; });
        io_.run();
        if (error) return failed(error);
        return {};
    }

    template <class Parser>
    Result<> read_header(Parser& parser) {
        return run([&](auto done) { http::async_read_header(stream_, buffer_, parser, done); });
    }
    template <class Parser>
    Result<> read_all(Parser& parser) {
        return run([&](auto done) { http::async_read(stream_, buffer_, parser, done); });
    }
    template <class Parser>
    Result<> read_piece(Parser& parser) {
        return run([&](auto done) { http::async_read_some(stream_, buffer_, parser, done); });
    }

private:
    void arm() {
        io_.restart();
        stream_.expires_after(timeout_);
    }
    template <class Start>
    Result<> run(Start start) {
        Code error = asio::error::would_block;
        arm();
        start([&](Code e, size_t) { error = e; });
        io_.run();
        if (error && error != http::error::need_buffer) return failed(error);
        return {};
    }
    tl::unexpected<Error> failed(Code error) const {
        Errc code = Errc::io;
        if (error == boost::system::errc::no_such_file_or_directory) code = Errc::not_found;
        if (error == boost::system::errc::connection_refused) code = Errc::busy;
        return fail(code,
                    path_ + ": " +
                        (error == beast::error::timeout ? "no answer in time" : error.message()));
    }

    asio::io_context io_;
    beast::basic_stream<Local> stream_;
    beast::flat_buffer buffer_;
    std::string path_;
    milliseconds timeout_;
};

// Cuts what arrives into lines.
class Lines {
public:
    explicit Lines(const std::function<bool(std::string_view)>& line) : line_(line) {}
    bool take(std::string_view piece) {
        rest_ += piece;
        size_t from = 0;
        for (size_t end; (end = rest_.find('\n', from)) != std::string::npos; from = end + 1)
            if (!line_(std::string_view(rest_).substr(from, end - from))) return false;
        rest_.erase(0, from);
        return true;
    }

private:
    const std::function<bool(std::string_view)>& line_;
    std::string rest_;
};

}  // namespace

Result<Answer> ask(const std::string& socket, std::string_view method, const std::string& target,
                   milliseconds timeout, std::string body) {
    Connection c(socket, timeout);
    if (auto ok = c.send(method, target, std::move(body)); !ok) return tl::unexpected(ok.error());
    http::response_parser<http::string_body> parser;
    parser.body_limit(kLargestBody);
    if (auto ok = c.read_all(parser); !ok) return tl::unexpected(ok.error());
    return Answer{parser.get().result_int(), std::move(parser.get().body())};
}

Result<Answer> ask_lines(const std::string& socket, const std::string& target,
                         const std::function<bool(std::string_view)>& line, milliseconds timeout) {
    Connection c(socket, timeout);
    if (auto ok = c.send("GET", target, {}); !ok) return tl::unexpected(ok.error());
    http::response_parser<http::buffer_body> parser;
    parser.body_limit(UINT64_MAX);
    if (auto ok = c.read_header(parser); !ok) return tl::unexpected(ok.error());
    Answer answer{parser.get().result_int(), {}};
    Lines lines(line);
    std::vector<char> space(65536);
    while (!parser.is_done()) {
        parser.get().body().data = space.data();
        parser.get().body().size = space.size();
        if (auto ok = c.read_piece(parser); !ok) return tl::unexpected(ok.error());
        const std::string_view piece(space.data(), space.size() - parser.get().body().size);
        if (answer.status != 200)
            answer.body += piece;
        else if (!lines.take(piece))
            break;
    }
    return answer;
}

}  // namespace torii::api
