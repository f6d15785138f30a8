#include "control/cli/invocation.h"

#include "control/cli/say.h"

namespace torii::cli {

int complain(std::string_view text) {
    say(stderr, "torii: {}\n", text);
    return 1;
}

std::optional<Place> place_of(const Invocation& in) {
    auto place = find_place(in.instance, in.file);
    if (place) return *place;
    complain(place.error().message);
    return std::nullopt;
}

std::string not_served(const Place& place, const Error& e) {
    if (e.code == Errc::not_found || e.code == Errc::busy)
        return fmt::format("toriid of instance {} is not running: nothing serves {}",
                           place.instance, place.socket);
    return e.message;
}

int tell(const api::ReloadOutcome& done) {
    for (const std::string& n : done.notes) say("{}\n", n);
    for (const std::string& d : done.diagnostics) say(stderr, "{}\n", d);
    return done.ok ? 0 : complain("nothing was changed");
}

}  // namespace torii::cli
