/* The kernel's and libbpf's headers, in the one order that compiles. */
#pragma once

// clang-format off
#include <linux/types.h>
#include <linux/bpf.h>
#include <linux/if_ether.h>
#include <linux/in.h>
#include <linux/in6.h>
#include <linux/pkt_cls.h>
#include <bpf/bpf_helpers.h>
// clang-format on
