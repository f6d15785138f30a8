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

#define TORII_MAX_VIPS 65536
#define TORII_MAX_SERVICES 65536
#define TORII_MAX_LOCALS 65536
#define TORII_MAX_BACKENDS 131072
#define TORII_MAX_MACS 1024
#define TORII_MAX_QUEUES 64
