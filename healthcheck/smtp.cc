// SMTP (RFC 5321): greeting, EHLO or HELO, STARTTLS if wanted (RFC 3207), QUIT. Replies may have
// several lines.

#include <fmt/format.h>

#include <algorithm>

#include "healthcheck/checkers.h"
#include "healthcheck/conversation.h"
#include "healthcheck/text.h"

namespace torii::healthcheck {

namespace asio = boost::asio;

namespace {

constexpr size_t kMostLine = 1000;  // RFC 5321 has 512
constexpr int kMostLines = 128;

struct Reply {
    int code = 0;
    std::string text;  ///< of the last line
    bool starttls = false;
};

/// The code of a reply line, 0 if it has none.
int code_of(const std::string& line) {
    if (line.size() < 3 || !std::all_of(line.begin(), line.begin() + 3,
                                        [](unsigned char c) { return std::isdigit(c) != 0; }))
        return 0;
    if (line.size() > 3 && line[3] != ' ' && line[3] != '-') return 0;
    return std::stoi(line.substr(0, 3));
}

asio::awaitable<Reply> reply(Conversation& c) {
    Reply r;
    for (int n = 0; n < kMostLines; ++n) {
        const std::string line = co_await c.stream.line(kMostLine);
        const int code = code_of(line);
        if (code == 0 || (n > 0 && code != r.code))
            throw Failure{Reason::protocol,
                          fmt::format("not an SMTP reply: '{}'", printable(line))};
        r.code = code;
        r.text = line;
        std::string word = line.substr(std::min<size_t>(line.size(), 4));
        std::ranges::transform(word, word.begin(),
                               [](unsigned char ch) { return char(std::toupper(ch)); });
        if (word == "STARTTLS") r.starttls = true;
        if (line.size() == 3 || line[3] == ' ') co_return r;
    }
    throw Failure{Reason::too_large, fmt::format("a reply of more than {} lines", kMostLines)};
}

void expect(const Reply& r, int code, std::string_view to) {
    if (r.code != code)
        throw Failure{Reason::bad_status, fmt::format("{}: {}", to, printable(r.text))};
}

/// HELO where the server does not know EHLO.
asio::awaitable<Reply> hello(Conversation& c) {
    const std::string& name = c.settings().smtp.helo;
    c.stage = "waiting for the reply to EHLO";
    co_await c.stream.send(fmt::format("EHLO {}\r\n", name));
    Reply r = co_await reply(c);
    if (r.code >= 500 && r.code < 505) {
        co_await c.stream.send(fmt::format("HELO {}\r\n", name));
        r = co_await reply(c);
    }
    expect(r, 250, "EHLO");
    co_return r;
}

asio::awaitable<Result> smtp_course(Conversation& c) {
    Result result;
    co_await c.stream.connect(c.environment, c.request);
    c.stage = "waiting for the greeting";
    const Reply greeting = co_await reply(c);
    expect(greeting, 220, "greeting");
    const Reply offered = co_await hello(c);
    if (c.settings().smtp.starttls) {
        if (!offered.starttls)
            throw Failure{Reason::mismatch, "the server does not offer STARTTLS"};
        co_await c.stream.send("STARTTLS\r\n");
        const Reply ready = co_await reply(c);
        expect(ready, 220, "STARTTLS");
        co_await secure(c, result);
        co_await hello(c);
    }
    c.stage = "waiting for the reply to QUIT";
    co_await c.stream.send("QUIT\r\n");
    co_await c.stream.receive(kMostLine);  // whatever it says, it has served
    co_return result;
}

}  // namespace

std::unique_ptr<Probe> start_smtp(Environment& e, const Request& r, Done done) {
    return converse(e, r, std::move(done), smtp_course);
}

std::string smtp_mistake(const config::Health& h) {
    const bool blank = std::ranges::any_of(h.smtp.helo, [](unsigned char c) { return c <= ' '; });
    return blank ? "'smtp.helo' must be one word" : "";
}

}  // namespace torii::healthcheck
