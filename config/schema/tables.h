#pragma once
// Which structs have a table of keys, and which key a bare value stands for.

#include "config/schema/key.h"

namespace torii::config {

/// The tables; keys.cc has them.
Keys keys_for(const Config*);
Keys keys_for(const Dataplane*);
Keys keys_for(const Port*);
Keys keys_for(const Timeouts*);
Keys keys_for(const Behaviour*);
Keys keys_for(const Persistence*);
Keys keys_for(const Drain*);
Keys keys_for(const Tunnel*);
Keys keys_for(const MarkRule*);
Keys keys_for(const Api*);
Keys keys_for(const Web*);
Keys keys_for(const Server*);
Keys keys_for(const Service*);
Keys keys_for(const Backend*);
Keys keys_for(const Health*);
Keys keys_for(const HttpHealth*);
Keys keys_for(const TlsHealth*);
Keys keys_for(const SmtpHealth*);
Keys keys_for(const ScriptHealth*);
Keys keys_for(const DnsHealth*);
Keys keys_for(const UdpHealth*);
Keys keys_for(const FlapDamping*);
Keys keys_for(const Quorum*);
Keys keys_for(const Notify*);
Keys keys_for(const SorryServer*);
Keys keys_for(const Vrrp*);
Keys keys_for(const VrrpGroup*);
Keys keys_for(const VrrpInstance*);
Keys keys_for(const VrrpPreempt*);
Keys keys_for(const VrrpAddress*);
Keys keys_for(const VrrpRoute*);
Keys keys_for(const VrrpGarp*);
Keys keys_for(const VrrpTrack*);
Keys keys_for(const VrrpTrackInterface*);
Keys keys_for(const VrrpTrackScript*);
Keys keys_for(const VrrpTrackFile*);
Keys keys_for(const VrrpTrackProcess*);
Keys keys_for(const VrrpTrackService*);
Keys keys_for(const VrrpAuthentication*);
Keys keys_for(const VrrpNotify*);

/// The key that a bare value stands for where a list of mappings is asked for: `eth0` in a list of
/// tracked interfaces is `{name: eth0}`.
constexpr std::string_view shorthand(const VrrpAddress*) { return "address"; }
constexpr std::string_view shorthand(const VrrpTrackInterface*) { return "name"; }
constexpr std::string_view shorthand(const VrrpTrackFile*) { return "path"; }
constexpr std::string_view shorthand(const VrrpTrackProcess*) { return "name"; }
constexpr std::string_view shorthand(const VrrpTrackService*) { return "name"; }

template <class T>
concept Struct = requires(const T* t) {
    keys_for(t);
};
template <class T>
concept Shorthand = Struct<T> && requires(const T* t) {
    shorthand(t);
};

}  // namespace torii::config
