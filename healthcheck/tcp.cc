// TCP: the server is up when it accepts a connection. Nothing is sent; the connection is ended in
// the normal way.

#include <sys/socket.h>

#include <utility>

#include "healthcheck/checkers.h"
#include "healthcheck/connector.h"

namespace torii::healthcheck {
namespace {

class Tcp : public Probe {
public:
    Tcp(Environment& e, Done done)
        : environment_(e), connector_(e.connector), done_(std::move(done)) {}
    ~Tcp() override {
        if (waiting_) connector_.cancel(ticket_);
    }
    void begin(const Request& r) {
        const char* what = "";
        auto socket = open_socket(environment_, r, SOCK_STREAM, 0, &what);
        if (!socket) return end(cannot(what, socket.error()));
        const auto ticket =
            connector_.connect(std::move(*socket), r.target.peer(), [this](int error) {
                waiting_ = false;
                end(error == 0 ? Result{} : failed(error));
            });
        if (!ticket) return end(failed(ticket.error()));
        ticket_ = *ticket;
        waiting_ = true;
    }
    Result expired() const override {
        Result r;
        r.reason = Reason::timeout;
        r.detail = "no answer to the connection request";
        return r;
    }

private:
    void end(Result r) {
        const Done done = std::move(done_);  // which destroys this object
        done(std::move(r));
    }

    Environment& environment_;
    Connector& connector_;
    Done done_;
    Connector::Ticket ticket_;
    bool waiting_ = false;
};

}  // namespace

std::unique_ptr<Probe> start_tcp(Environment& e, const Request& r, Done done) {
    auto probe = std::make_unique<Tcp>(e, std::move(done));
    probe->begin(r);
    return probe;
}

}  // namespace torii::healthcheck
