/* The maps behind the decision. Each of the two programs has its own copies, reached from outside
 * through the id of the attached program; nothing is pinned. */
#pragma once

#include "kernel.bpf.h"
#include "layout.h"

#define TORII_SET(name, key_type, entries)    \
    struct {                                  \
        __uint(type, BPF_MAP_TYPE_HASH);      \
        __uint(map_flags, BPF_F_NO_PREALLOC); \
        __uint(max_entries, entries);         \
        __type(key, key_type);                \
        __type(value, __u8);                  \
    } name SEC(".maps")

TORII_SET(vips, struct torii_address_key, TORII_MAX_VIPS);
TORII_SET(services, struct torii_service_key, TORII_MAX_SERVICES);
TORII_SET(locals, struct torii_address_key, TORII_MAX_LOCALS);
TORII_SET(backends, struct torii_service_key, TORII_MAX_BACKENDS);
TORII_SET(backend_addrs, struct torii_address_key, TORII_MAX_BACKENDS);
/* Destination addresses of frames that are for this host; the key of zeros means "any". */
TORII_SET(macs, struct torii_mac_key, TORII_MAX_MACS);
/* Destinations with firewall marks; the longest block that holds an address counts. */
struct {
    __uint(type, BPF_MAP_TYPE_LPM_TRIE);
    __uint(map_flags, BPF_F_NO_PREALLOC);
    __uint(max_entries, TORII_MAX_MARKS);
    __type(key, struct torii_block_key);
    __type(value, struct torii_mark_value);
} marks SEC(".maps");
/* Servers behind tunnels: (address, port of GUE or 0, protocol of the outer header). */
TORII_SET(tunnels, struct torii_service_key, TORII_MAX_TUNNELS);
