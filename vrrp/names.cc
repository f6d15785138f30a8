// How roles, actions and watched things are spelled.

#include "vrrp/fsm.h"
#include "vrrp/track.h"

namespace torii::vrrp {

std::string_view to_string(Role role) {
    switch (role) {
        case Role::initialize:
            return "initialize";
        case Role::backup:
            return "backup";
        case Role::active:
            return "active";
        case Role::fault:
            return "fault";
    }
    return "unknown";
}

std::string_view to_string(Action::Kind kind) {
    switch (kind) {
        case Action::Kind::send_advert:
            return "send_advert";
        case Action::Kind::hold:
            return "hold";
        case Action::Kind::release:
            return "release";
        case Action::Kind::announce:
            return "announce";
        case Action::Kind::notify:
            return "notify";
        case Action::Kind::weaker:
            return "weaker";
    }
    return "unknown";
}

std::string_view to_string(TrackKind kind) {
    switch (kind) {
        case TrackKind::interface:
            return "interface";
        case TrackKind::script:
            return "script";
        case TrackKind::file:
            return "file";
        case TrackKind::process:
            return "process";
        case TrackKind::dataplane:
            return "dataplane";
        case TrackKind::service:
            return "service";
    }
    return "unknown";
}

}  // namespace torii::vrrp
