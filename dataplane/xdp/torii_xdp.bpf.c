/* XDP: frames that are torii's go to the AF_XDP socket of their queue, and nowhere when there is
 * no socket: a dataplane that died must not hand its connections to the kernel, which would reset
 * them. Everything else goes to the kernel untouched.
 *
 * DPDK's net_af_xdp loads the first program of this object and puts its sockets into `xsks_map`. */
#include "kernel.bpf.h"

struct frame {
    struct xdp_md* ctx;
};

/* The verifier wants to see one bounded offset checked against the end in one piece. */
static __always_inline int read_bytes(const struct frame* f, __u32 offset, void* to, __u32 n) {
    const __u8* data = (const __u8*)(long)f->ctx->data;
    const __u8* end = (const __u8*)(long)f->ctx->data_end;
    if (offset > 0x3fff) return 0;
    data += offset;
    if (data + n > end) return 0;
    __builtin_memcpy(to, data, n);
    return 1;
}

#include "decide.bpf.h"

struct {
    __uint(type, BPF_MAP_TYPE_XSKMAP);
    __uint(max_entries, TORII_MAX_QUEUES);
    __type(key, __u32);
    __type(value, __u32);
} xsks_map SEC(".maps");

SEC("xdp")
int torii_xdp(struct xdp_md* ctx) {
    const struct frame f = {ctx};
    if (decide(&f, 0) == TORII_PASS) return XDP_PASS;
    return bpf_redirect_map(&xsks_map, ctx->rx_queue_index, XDP_DROP);
}

char torii_license[] SEC("license") = "Apache-2.0";
