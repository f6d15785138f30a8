#include "healthcheck/conversation.h"

#include <fmt/format.h>

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>

#include "healthcheck/tls.h"

namespace torii::healthcheck {

namespace asio = boost::asio;
using boost::system::system_error;

namespace {

Result result_of(const system_error& e) {
    if (e.code().category() == boost::system::system_category() ||
        e.code().category() == boost::system::generic_category())
        return failed(e.code().value());
    Result r;
    if (e.code() == asio::error::eof) {
        r.reason = Reason::closed;
        return r;
    }
    r.reason = e.code().category() == asio::error::get_ssl_category() ? Reason::tls : Reason::local;
    r.detail = e.code().message();
    return r;
}

asio::awaitable<void> run(std::shared_ptr<Conversation> c, Course course) {
    if (!c->done) co_return;  // given up before it began
    Result result;
    try {
        result = co_await course(*c);
    } catch (const Failure& f) {
        result.reason = f.reason;
        result.detail = f.detail;
    } catch (const system_error& e) {
        result = result_of(e);
    } catch (const std::exception& e) {
        result.reason = Reason::local;
        result.detail = e.what();
    }
    const Done done = std::exchange(c->done, nullptr);
    c->stream.close();
    if (done) done(std::move(result));
}

class Talk : public Probe {
public:
    explicit Talk(std::shared_ptr<Conversation> c) : talk_(std::move(c)) {}
    ~Talk() override {
        talk_->done = nullptr;
        talk_->stream.close();
    }
    Result expired() const override {
        Result r;
        r.reason = Reason::timeout;
        r.detail = talk_->stage;
        return r;
    }
    bool has_news() const override { return talk_->stream.has_news(); }

private:
    std::shared_ptr<Conversation> talk_;
};

/// What is asked for by SNI and verified.
std::string server_name(const config::Health& h) {
    if (!h.tls.server_name.empty()) return h.tls.server_name;
    return h.http.host.substr(0, h.http.host.find(':'));
}

}  // namespace

std::unique_ptr<Probe> converse(Environment& e, const Request& r, Done done, Course course) {
    auto talk = std::make_shared<Conversation>(e, r, std::move(done));
    auto probe = std::make_unique<Talk>(talk);
    asio::co_spawn(e.loop, run(std::move(talk), course), asio::detached);
    return probe;
}

Stream::Task<> secure(Conversation& c, Result& result) {
    const config::TlsHealth& tls = c.settings().tls;
    auto context = c.environment.tls.of(tls);
    if (!context) throw Failure{Reason::local, context.error().message};
    c.stage = "TLS handshake";
    co_await c.stream.secure(*context, server_name(c.settings()), c.request.target.peer().address,
                             tls.verify);
    const auto days = c.stream.days_left();
    if (days && tls.expiry_warning.count() > 0 &&
        std::chrono::hours(24 * *days) < tls.expiry_warning)
        result.warning = fmt::format("the certificate ends in {} days", *days);
}

}  // namespace torii::healthcheck
