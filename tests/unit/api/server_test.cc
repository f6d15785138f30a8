// The server survives whatever a client sends, never waits for one, and ends what takes too long.
#include "control/api/server.h"

#include <arpa/inet.h>
#include <gtest/gtest.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <boost/asio/io_context.hpp>
#include <cstring>
#include <filesystem>
#include <thread>

#include "control/api/client.h"
#include "tests/support/temporary_directory.h"

namespace torii::api {
namespace {

using namespace std::chrono_literals;

// Runs the loop in a thread of its own, so that a test can block as a client does.
struct Serving : testing::Test {
    Serving() : path(directory.path() + "/run/api.sock") {
        limits.idle = 300ms;
        limits.request = 300ms;
        limits.write = 500ms;
        limits.clients = 4;
    }
    void serve() {
        auto made = Server::listen_unix(
            loop, path, "", [this](const Request& r) { return answer(r); }, limits);
        ASSERT_TRUE(made) << made.error().message;
        server = std::move(*made);
        thread = std::thread([this] { loop.run(); });
    }
    ~Serving() override {
        loop.stop();
        if (thread.joinable()) thread.join();
    }
    Reply answer(const Request& r) {
        if (r.path == "/echo") return {200, "text/plain", r.method + " " + r.query + " " + r.body};
        if (r.path == "/big") {
            return {200, "text/plain", {}, [n = 0](std::string& piece) mutable {
                        if (++n % 2) return true;  // nothing this time
                        piece.assign(100, 'x').push_back('\n');
                        return n < 2000;
                    }};
        }
        if (r.path == "/endless")
            return {200, "text/plain", {}, [](std::string& piece) {
                        piece.assign(1 << 20, 'x');
                        return true;
                    }};
        return {404, "text/plain", "no"};
    }
    int raw() {
        const int fd = ::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
        sockaddr_un a{};
        a.sun_family = AF_UNIX;
        std::strncpy(a.sun_path, path.c_str(), sizeof a.sun_path - 1);
        EXPECT_EQ(::connect(fd, reinterpret_cast<sockaddr*>(&a), sizeof a), 0);
        const timeval limit{5, 0};
        ::setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit);
        return fd;
    }
    // Sends, then reads until the server ends the connection. "timeout" if it never does.
    std::string talk(const std::string& text) {
        const int fd = raw();
        (void)!::send(fd, text.data(), text.size(), MSG_NOSIGNAL);
        std::string said;
        char chunk[4096];
        ssize_t n;
        while ((n = ::read(fd, chunk, sizeof chunk)) > 0) said.append(chunk, size_t(n));
        ::close(fd);
        return n < 0 && errno == EAGAIN ? "timeout" : said;
    }
    std::string still_serves() {
        const auto a = ask(path, "GET", "/echo?q", 5s);
        return a ? a->body : a.error().message;
    }

    test::TemporaryDirectory directory;
    std::string path;
    Limits limits;
    boost::asio::io_context loop{1};
    std::unique_ptr<Server> server;
    std::thread thread;
};

TEST_F(Serving, AnswersAndSetsTheSocketsMode) {
    serve();
    EXPECT_EQ(still_serves(), "GET q ");
    struct stat st;
    ASSERT_EQ(::stat(path.c_str(), &st), 0);
    EXPECT_EQ(st.st_mode & 0777, 0660u);
    EXPECT_EQ(ask(path, "GET", "/nowhere")->status, 404u);
    EXPECT_EQ(ask(path, "POST", "/echo")->body, "POST  ");
}

TEST_F(Serving, AChunkedReplyArrivesWholeLineByLine) {
    serve();
    size_t lines = 0;
    const auto done = ask_lines(path, "/big", [&](std::string_view line) {
        EXPECT_EQ(line.size(), 100u);
        return ++lines > 0;
    });
    ASSERT_TRUE(done) << done.error().message;
    EXPECT_EQ(lines, 1000u);
    EXPECT_EQ(ask_lines(path, "/nowhere", [](auto) { return true; })->body, "no");
}

TEST_F(Serving, GarbageIsAnsweredOrDroppedAndHurtsNobody) {
    serve();
    EXPECT_TRUE(talk("\x16\x03\x01 garbage\r\n\r\n").starts_with("HTTP/1.1 400"));
    EXPECT_TRUE(talk("GET / HTTP/9.9\r\n\r\n").starts_with("HTTP/1.1 400"));
    EXPECT_TRUE(talk("GET /echo HTTP/1.1\r\nX: " + std::string(20000, 'a') + "\r\n\r\n")
                    .starts_with("HTTP/1.1 431"));
    EXPECT_TRUE(talk("POST /echo HTTP/1.1\r\nContent-Length: 999999999\r\n\r\n")
                    .starts_with("HTTP/1.1 413"));
    EXPECT_TRUE(
        talk("POST /echo HTTP/1.1\r\nContent-Length: -1\r\n\r\n").starts_with("HTTP/1.1 400"));
    EXPECT_EQ(talk(std::string(100, '\0')).substr(0, 12), "HTTP/1.1 400");
    EXPECT_EQ(still_serves(), "GET q ");
}

TEST_F(Serving, ClientsThatSayNothingOrHalfOfItAreDropped) {
    serve();
    EXPECT_EQ(talk(""), "");
    EXPECT_EQ(talk("GET /echo HTTP/1.1\r\nHo"), "");
    EXPECT_EQ(talk("POST /echo HTTP/1.1\r\nContent-Length: 10\r\n\r\nabc"), "");
    EXPECT_EQ(still_serves(), "GET q ");
}

TEST_F(Serving, AClientThatDoesNotReadIsDroppedAndOthersDoNotWait) {
    serve();
    const int lazy = raw();
    const std::string request = "GET /endless HTTP/1.1\r\n\r\n";
    ASSERT_EQ(::send(lazy, request.data(), request.size(), MSG_NOSIGNAL), ssize_t(request.size()));
    const auto begun = std::chrono::steady_clock::now();
    EXPECT_EQ(still_serves(), "GET q ");
    EXPECT_LT(std::chrono::steady_clock::now() - begun, 400ms);
    // After the write limit the server hangs up: what is in flight, then the end.
    std::this_thread::sleep_for(limits.write + 100ms);
    std::string chunk(1 << 20, '\0');
    ssize_t n;
    while ((n = ::read(lazy, chunk.data(), chunk.size())) > 0) {
    }
    EXPECT_FALSE(n < 0 && errno == EAGAIN);
    ::close(lazy);
}

TEST_F(Serving, MoreClientsThanAllowedWaitForRoom) {
    serve();
    std::vector<int> many;
    for (int i = 0; i < 8; ++i) many.push_back(raw());
    EXPECT_EQ(still_serves(), "GET q ");  // once the idle ones were dropped
    for (const int fd : many) ::close(fd);
}

TEST_F(Serving, PipelinedRequestsAreAnsweredInOrder) {
    serve();
    const std::string said =
        talk("GET /echo?1 HTTP/1.1\r\n\r\nGET /echo?2 HTTP/1.1\r\nConnection: close\r\n\r\n");
    EXPECT_LT(said.find("GET 1"), said.find("GET 2")) << said;
    EXPECT_NE(said.find("GET 2"), std::string::npos) << said;
}

TEST_F(Serving, ASocketInUseIsRefusedAndAStaleOneReplaced) {
    serve();
    const auto second = Server::listen_unix(loop, path, "", [](const Request&) { return Reply{}; });
    ASSERT_FALSE(second);
    EXPECT_EQ(second.error().code, Errc::busy);
    loop.stop();
    thread.join();
    server.reset();
    EXPECT_FALSE(std::filesystem::exists(path));
    const int stale = ::socket(AF_UNIX, SOCK_STREAM, 0);
    sockaddr_un a{};
    a.sun_family = AF_UNIX;
    std::strncpy(a.sun_path, path.c_str(), sizeof a.sun_path - 1);
    ASSERT_EQ(::bind(stale, reinterpret_cast<sockaddr*>(&a), sizeof a), 0);
    ::close(stale);
    loop.restart();
    serve();
    EXPECT_EQ(still_serves(), "GET q ");
}

TEST_F(Serving, AnOrdinaryFileIsNotOverwritten) {
    std::filesystem::create_directories(directory.path() + "/run");
    std::filesystem::create_directory(path);
    const auto refused =
        Server::listen_unix(loop, path, "", [](const Request&) { return Reply{}; });
    ASSERT_FALSE(refused);
    EXPECT_EQ(refused.error().code, Errc::exists);
}

TEST_F(Serving, AnUnknownGroupIsAWarning) {
    auto made = Server::listen_unix(loop, path, "no-such-group-of-torii",
                                    [](const Request&) { return Reply{}; });
    ASSERT_TRUE(made);
    EXPECT_NE((*made)->warning().find("no-such-group-of-torii"), std::string::npos);
}

TEST(Client, SaysWhyNobodyAnswers) {
    test::TemporaryDirectory directory;
    const auto absent = ask(directory.path() + "/none.sock", "GET", "/");
    ASSERT_FALSE(absent);
    EXPECT_EQ(absent.error().code, Errc::not_found);
    EXPECT_TRUE(absent.error().message.ends_with(": No such file or directory"));
}

}  // namespace
}  // namespace torii::api
