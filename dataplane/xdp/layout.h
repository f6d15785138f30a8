#pragma once
/* Keys of the maps that the kernel programs of this folder read, shared by C (BPF) and C++.
 * Addresses are 16 bytes in network order, IPv4 as ::ffff:a.b.c.d like torii::Address. */

#include <linux/types.h>

/* An address, a port in network order (0: every port) and an IP protocol number. */
struct torii_service_key {
    __u8 address[16];
    __u16 port;
    __u8 protocol;
    __u8 zero;
};

struct torii_address_key {
    __u8 bytes[16];
};

struct torii_mac_key {
    __u8 bytes[6];
    __u8 zero[2];
};

/* A block of destinations; `length` counts bits of the 16 bytes (IPv4: 96 and more). */
struct torii_block_key {
    __u32 length;
    __u8 address[16];
};

/* Destination ports in host order, both included, of a protocol (0: of every one with ports). */
struct torii_mark_range {
    __u16 first, last;
    __u8 protocol;
    __u8 take; /* packets it holds are torii's; otherwise the services decide */
    __u8 zero[2];
};

/* What holds in a block: the first range that fits decides. */
#define TORII_MAX_MARK_RANGES 16
struct torii_mark_value {
    __u32 count;
    struct torii_mark_range ranges[TORII_MAX_MARK_RANGES];
};

#define TORII_MAX_VIPS 65536
#define TORII_MAX_SERVICES 65536
#define TORII_MAX_LOCALS 65536
#define TORII_MAX_BACKENDS 131072
#define TORII_MAX_MACS 1024
#define TORII_MAX_MARKS 16384
#define TORII_MAX_TUNNELS 131072
#define TORII_MAX_QUEUES 64
