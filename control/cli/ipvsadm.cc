#include "control/cli/ipvsadm.h"

#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <cstdio>

#include "control/api/client.h"
#include "control/api/ipvs.h"
#include "control/api/rows.h"
#include "control/cli/ipvsadm_format.h"
#include "control/cli/ipvsadm_line.h"
#include "control/cli/ipvsadm_restore.h"
#include "control/cli/place.h"
#include "control/cli/say.h"

namespace torii::cli {
namespace {

// Exit statuses: what ipvsadm itself refuses, what the kernel refuses to list, and to change.
constexpr int kUsage = 2, kNotListed = 1, kRefused = 255;
constexpr std::chrono::seconds kPatience{60};

int complain(int status, const std::string& text) {
    std::fflush(stdout);
    say(stderr, "{}\n", text);
    return status;
}

// The reason alone, as strerror() would say it: the error's last part.
std::string reason_of(const Error& e) {
    const size_t colon = e.message.rfind(": ");
    return colon == std::string::npos ? e.message : e.message.substr(colon + 2);
}

int no_daemon(const Place& place, const Error& e) {
    const bool absent = e.code == Errc::not_found || e.code == Errc::busy;
    say(stderr, "Can't initialize ipvs: {}\n{}\n", reason_of(e),
        absent ? fmt::format("toriid of instance {} is not running: nothing serves {}",
                             place.instance, place.socket)
               : fmt::format("toriid of instance {} cannot be asked through {}", place.instance,
                             place.socket));
    return kUsage;
}

Result<api::IpvsFacts> facts_of(const Place& place) {
    const auto answer = api::ask(place.socket, "GET", "/v1/ipvs");
    if (!answer) return tl::unexpected(answer.error());
    if (answer->status != 200) return fail(Errc::io, api::error_message(answer->body));
    return api::parse_facts(answer->body);
}

// The services of a list: all, or the one that the line names.
std::string services_target(const std::optional<api::ServiceName>& one) {
    const std::string all = "/v1/ipvs/rows";
    if (!one) return all;
    if (one->mark != 0)
        return fmt::format("{}?mark={}&family={}", all, one->mark,
                           one->family == Family::ipv4 ? 4 : 6);
    return fmt::format("{}?{}={}", all, to_string(one->protocol), to_string(one->endpoint));
}

// One ipvsadm, from its arguments to its exit status.
class Session {
public:
    Session(Place place, api::IpvsFacts facts, std::string argv0)
        : place_(std::move(place)), facts_(facts), argv0_(std::move(argv0)) {}

    int run(std::span<const std::string> words) {
        const auto line = read_line(words, argv0_);
        if (!line) return complain(line.error().status, line.error().message);
        if (line->command == Command::restore) {
            LineSource input(STDIN_FILENO);
            return restore(input);
        }
        if (changes(line->command)) {
            waiting_.push_back(line->change);
            return change();
        }
        return show(*line).status;
    }

    // The whole input first: the table is not empty for as long as it takes to come.
    int replace() {
        WholeInput input(STDIN_FILENO);
        waiting_.emplace_back().verb = api::Verb::clear;
        return restore(input);
    }

private:
    struct Shown {
        int status = 0;
        bool last = false;  // nothing after it is done
    };

    // Changes are gathered as long as lines come, and made together.
    template <class Lines>
    int restore(Lines& input) {
        int status = 0;
        while (input.ready() || (status = settled(status), true)) {
            const auto text = input.next();
            if (!text) break;
            const std::vector<std::string> words = restore_words(*text);
            if (words.empty()) continue;
            const auto line = read_line(words, argv0_);
            if (line && changes(line->command)) {
                waiting_.push_back(line->change);
                if (waiting_.size() == api::kMaxBatch) status = change();
                continue;
            }
            status = settled(status);
            if (line && line->command == Command::restore) {
                const Refusal nested = try_help(argv0_);
                return complain(nested.status, nested.message);
            }
            const Shown done = line ? show(*line)
                                    : Shown{complain(line.error().status, line.error().message),
                                            line.error().last};
            if (done.last) return done.status;
            status = done.status;
        }
        return settled(status);
    }

    int settled(int status) { return waiting_.empty() ? status : change(); }

    // Makes what waits; the status is the last one's.
    int change() {
        const std::vector<api::IpvsCommand> commands = std::move(waiting_);
        waiting_.clear();
        const auto reply =
            api::ask(place_.socket, "POST", "/v1/ipvs", kPatience, api::to_json(commands));
        if (!reply) return complain(kRefused, reply.error().message);
        if (reply->status != 200) return complain(kRefused, api::error_message(reply->body));
        const auto answer = api::parse_answer(reply->body);
        if (!answer) return complain(kRefused, answer.error().message);
        int status = 0;
        for (const api::IpvsError& e : answer->errors) {
            const api::IpvsCommand& c = commands[std::min<size_t>(e.command, commands.size() - 1)];
            complain(kRefused,
                     e.message.empty() ? refusal_of(to_string(c.verb), e.code) : e.message);
            if (e.command + 1 == commands.size()) status = kRefused;
        }
        return status;
    }

    Shown show(const Line& line) {
        if (line.command == Command::help) return say("{}", ipvsadm_help(argv0_)), Shown{0, true};
        if (line.command == Command::version) return say("{}", ipvsadm_version()), Shown{0, true};
        const Names names = line.has(Column::numeric) ? numeric_names() : resolved_names();
        if (line.has(Column::connection)) return list_connections(line, names);
        if (line.has(Column::timeout)) return list_timeouts();
        if (line.has(Column::daemon)) return {};  // none runs
        return list_services(line, names);
    }

    static Shown not_listed(const std::string& why) { return {complain(kNotListed, why), true}; }

    Shown list_timeouts() {
        const auto now = facts_of(place_);  // a restore may just have set them
        if (!now) return not_listed(now.error().message);
        say("Timeout (tcp tcpfin udp): {}\n", fmt::join(now->timeouts, " "));
        return {};
    }

    // Hands every line of a reply to `take`, which says whether it could be read.
    template <class Take>
    std::optional<Shown> each_line(const std::string& target, Take take) {
        bool readable = true;
        const auto done = api::ask_lines(place_.socket, target, [&](std::string_view text) {
            readable = take(text);
            return readable && !std::ferror(stdout);
        });
        if (!done) return not_listed(done.error().message);
        if (done->status == 404) return not_listed("No such service");
        if (done->status != 200) return not_listed(api::error_message(done->body));
        if (!readable) return not_listed("toriid's answer cannot be read");
        return std::nullopt;
    }

    Shown list_connections(const Line& line, const Names& names) {
        say("{}", connections_title(line.has(Column::persistent_conn)));
        const auto failed = each_line("/v1/connections", [&](std::string_view text) {
            const auto connection = api::from_json<api::Connection>(text);
            if (connection) say("{}", connection_row(*connection, names));
            return connection.has_value();
        });
        return failed.value_or(Shown{});
    }

    Shown list_services(const Line& line, const Names& names) {
        if (line.change.service && line.change.service->mapped())
            return not_listed("No such service");
        api::Services all;
        all.table_buckets = facts_.table_buckets;
        const std::string target = services_target(line.change.service);
        const auto failed = each_line(
            target, [&](std::string_view text) { return api::take_row(all.services, text); });
        if (failed) return *failed;
        say("{}", line.command == Command::save ? save_services(all, names)
                                                : cli::list_services(all, options_of(line), names));
        return {};
    }

    static ListOptions options_of(const Line& line) {
        ListOptions o;
        o.exact = line.has(Column::exact);
        o.sorted = !line.has(Column::nosort);
        o.version = !line.change.service;
        o.listing = line.has(Column::stats)             ? Listing::stats
                    : line.has(Column::rate)            ? Listing::rate
                    : line.has(Column::thresholds)      ? Listing::thresholds
                    : line.has(Column::persistent_conn) ? Listing::persistent
                    : line.has(Column::tun_info)        ? Listing::tunnels
                                                        : Listing::plain;
        return o;
    }

    Place place_;
    api::IpvsFacts facts_;
    std::string argv0_;
    std::vector<api::IpvsCommand> waiting_;
};

}  // namespace

namespace {

// As ipvsadm opens the kernel's table before it looks at its arguments.
template <class Do>
int with_daemon(const std::string& argv0, Do what) {
    const auto place = find_place("", "");
    if (!place) return complain(kUsage, "Can't initialize ipvs: " + place.error().message);
    const auto facts = facts_of(*place);
    if (!facts) return no_daemon(*place, facts.error());
    Session session(*place, *facts, argv0);
    return what(session);
}

}  // namespace

int ipvsadm_main(std::span<const std::string> words, const std::string& argv0) {
    return with_daemon(argv0, [&](Session& s) { return s.run(words); });
}

int ipvsadm_save_main(std::span<const std::string> words, const std::string& argv0) {
    std::vector<std::string> save{"-S"};
    for (const std::string& word : words) {
        if (word == "-n") {
            if (save.size() == 1) save.push_back(word);
        } else if (word.starts_with('-')) {
            return complain(1, argv0 +
                                   ": Script to save the IPVS table to stdout.\n"
                                   "   With the -n option, prints out the table in numeric "
                                   "format.");
        }
    }
    return ipvsadm_main(save, "ipvsadm");
}

int ipvsadm_restore_main() {
    return with_daemon("ipvsadm", [](Session& s) { return s.replace(); });
}

}  // namespace torii::cli
