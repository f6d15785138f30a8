// HTTP and HTTPS (RFC 9112): each path is asked for on a connection of its own; status, digest and
// body are judged. No redirect is followed.

#include <fmt/format.h>

#include <algorithm>
#include <boost/beast/core/buffers_range.hpp>
#include <boost/beast/core/flat_buffer.hpp>
#include <boost/beast/http/error.hpp>
#include <boost/beast/http/parser.hpp>

#include "healthcheck/body.h"
#include "healthcheck/checkers.h"
#include "healthcheck/conversation.h"
#include "healthcheck/text.h"

namespace torii::healthcheck {

namespace asio = boost::asio;
namespace beast = boost::beast;
namespace http = beast::http;
using Code = boost::system::error_code;

namespace {

constexpr uint32_t kMostHeader = 16 << 10;
constexpr size_t kMostBuffer = 64 << 10;
constexpr int kMostInterim = 8;  // 1xx answers before the real one

/// Beast's way of handing a body on: nothing is kept but what BodyCheck keeps.
struct Watched {
    using value_type = BodyCheck*;
    struct reader {
        template <bool isRequest, class Fields>
        reader(http::header<isRequest, Fields>&, value_type& to) : to_(to) {}
        void init(const boost::optional<uint64_t>&, Code& error) { error = {}; }
        template <class Buffers>
        size_t put(const Buffers& buffers, Code& error) {
            size_t taken = 0;
            error = {};
            for (const auto piece : beast::buffers_range_ref(buffers)) {
                if (!to_->take({static_cast<const char*>(piece.data()), piece.size()}))
                    error = http::error::body_limit;
                taken += piece.size();
            }
            return taken;
        }
        void finish(Code& error) { error = {}; }
        value_type& to_;
    };
};
using Parser = http::response_parser<Watched>;

bool is_good(const config::HttpHealth& h, unsigned status) {
    return std::ranges::any_of(h.status, [&](const config::StatusRange& r) {
        return status >= r.first && status <= r.last;
    });
}

std::string request_of(const Conversation& c, const std::string& path) {
    const config::HttpHealth& h = c.settings().http;
    std::string text = fmt::format("{} {} HTTP/{}\r\n", h.method, path, to_string(h.version));
    text +=
        fmt::format("Host: {}\r\n", h.host.empty() ? to_string(c.request.target.peer()) : h.host);
    text += "User-Agent: torii\r\nConnection: close\r\n";
    for (const std::string& line : h.headers) text += line + "\r\n";
    return text + "\r\n";
}

Failure parse_failure(const Code& e) {
    if (e == http::error::header_limit || e == http::error::buffer_overflow)
        return {Reason::too_large, fmt::format("a header of more than {} bytes", kMostHeader)};
    if (e == http::error::body_limit)
        return {Reason::too_large, "a body of more than max_body bytes"};
    if (e == http::error::partial_message || e == http::error::end_of_stream)
        return {Reason::closed, "the server closed the connection in the middle of its answer"};
    return {Reason::protocol, "not an HTTP answer: " + e.message()};
}

/// An answer being read; interim ones are passed over.
class Reading {
public:
    Reading(const config::HttpHealth& h, BodyCheck& body) : settings_(h), body_(body) { begin(); }

    /// Whether nothing more is needed to judge it.
    bool enough() const {
        if (!parser_->is_header_done() || interim()) return false;
        return parser_->is_done() || !body_.wanted() || !is_good(settings_, status());
    }
    void take(std::string_view piece) {
        if (buffer_.size() + piece.size() > kMostBuffer)
            throw parse_failure(http::error::buffer_overflow);
        const auto space = buffer_.prepare(piece.size());
        std::memcpy(space.data(), piece.data(), piece.size());
        buffer_.commit(piece.size());
        parse();
    }
    void end() {
        Code error;
        if (!parser_->got_some()) throw parse_failure(http::error::end_of_stream);
        if (!parser_->is_done()) parser_->put_eof(error);
        if (error) throw parse_failure(error);
        if (!enough()) throw parse_failure(http::error::partial_message);
    }
    unsigned status() const { return parser_->get().result_int(); }
    std::string status_line() const {
        const auto reason = parser_->get().reason();
        return fmt::format("HTTP {} {}", status(), printable({reason.data(), reason.size()}));
    }

private:
    void begin() {
        parser_.emplace();
        parser_->get().body() = &body_;
        parser_->eager(true);
        parser_->header_limit(kMostHeader);
        parser_->body_limit(
            boost::none);  // an eager parser of Boost 1.74 forgets it; Watched counts
        parser_->skip(settings_.method == "HEAD");
    }
    bool interim() const { return status() >= 100 && status() < 200 && status() != 101; }
    void parse() {
        while (buffer_.size() > 0 && !parser_->is_done()) {
            Code error;
            const size_t used = parser_->put(buffer_.data(), error);
            buffer_.consume(used);
            if (error == http::error::need_more) return;
            if (error) throw parse_failure(error);
            if (parser_->is_header_done() && interim()) {
                if (++interims_ > kMostInterim)
                    throw Failure{Reason::protocol, "no end of interim answers"};
                begin();
            } else if (enough() || used == 0) {
                return;
            }
        }
    }

    const config::HttpHealth& settings_;
    BodyCheck& body_;
    beast::flat_buffer buffer_{kMostBuffer};
    std::optional<Parser> parser_;
    int interims_ = 0;
};

asio::awaitable<void> ask(Conversation& c, std::string path, Result& result) {
    const config::HttpHealth& h = c.settings().http;
    c.stage = "connecting";
    co_await c.stream.connect(c.environment, c.request);
    if (c.settings().type == config::HealthType::https) co_await secure(c, result);
    c.stage = "waiting for the answer";
    co_await c.stream.send(request_of(c, path));
    BodyCheck body(h);
    Reading reading(h, body);
    while (!reading.enough()) {
        const std::string piece = co_await c.stream.receive(kMostBuffer / 2);
        if (piece.empty()) {
            reading.end();
            break;
        }
        reading.take(piece);
        c.stage = "reading the answer";
    }
    if (!is_good(h, reading.status())) throw Failure{Reason::bad_status, reading.status_line()};
    if (const auto wrong = body.wanted() ? body.verdict() : std::nullopt)
        throw Failure{wrong->reason, wrong->detail};
    c.stream.close();
}

asio::awaitable<Result> http_course(Conversation& c) {
    Result result;
    const std::vector<std::string>& paths = c.settings().http.path;
    for (const std::string& path : paths) {
        std::optional<Failure> failure;
        try {
            co_await ask(c, path, result);
        } catch (const Failure& f) {
            failure = f;
        }
        if (!failure) continue;
        if (paths.size() > 1) failure->detail = fmt::format("{}: {}", path, failure->detail);
        throw *failure;
    }
    co_return result;
}

bool is_digest(const std::string& text) {
    return (text.size() == 32 || text.size() == 64) &&
           std::ranges::all_of(text, [](unsigned char c) { return std::isxdigit(c) != 0; });
}

bool is_token(const std::string& text) {
    return std::ranges::all_of(text, [](unsigned char c) {
        return std::isalnum(c) != 0 ||
               std::string_view("!#$%&'*+-.^_`|~").find(char(c)) != std::string_view::npos;
    });
}

}  // namespace

std::unique_ptr<Probe> start_http(Environment& e, const Request& r, Done done) {
    return converse(e, r, std::move(done), http_course);
}

std::string http_mistake(const config::Health& health) {
    const config::HttpHealth& h = health.http;
    if (!is_token(h.method)) return fmt::format("'http.method: {}' is no method", h.method);
    if (h.path.empty()) return "'http.path' names nothing to ask for";
    for (const std::string& path : h.path)
        if ((!path.starts_with('/') && path != "*") || path.find(' ') != path.npos)
            return fmt::format("'http.path: {}' must begin with / and have no blanks", path);
    for (const std::string& line : h.headers) {
        const size_t colon = line.find(':');
        if (colon == 0 || colon == line.npos || !is_token(line.substr(0, colon)))
            return fmt::format("'http.headers': '{}' is not 'Name: value'", line);
    }
    if (!h.digest.empty() && !is_digest(h.digest))
        return "'http.digest' must be 32 (MD5) or 64 (SHA-256) hexadecimal digits";
    if (const std::string wrong = regex_mistake(h.body_regex); !wrong.empty())
        return "'http.body_regex': " + wrong;
    return {};
}

}  // namespace torii::healthcheck
