/* The guard at tc ingress: drops what torii_xdp would have redirected. It matters only while that
 * program is not attached (start and stop of the dataplane), and costs the kernel's own packets
 * one decision. It never says "accept": other filters of the interface keep their say. */
#include "kernel.bpf.h"

struct frame {
    struct __sk_buff* skb;
};

/* Headers may lie outside the linear part of an skb, hence the helper. */
static __always_inline int read_bytes(const struct frame* f, __u32 offset, void* to, __u32 n) {
    return bpf_skb_load_bytes(f->skb, offset, to, n) == 0;
}

#include "decide.bpf.h"

SEC("tc")
int torii_guard(struct __sk_buff* skb) {
    const struct frame f = {skb};
    /* The outermost tag lies in the skb's metadata, not in its data. */
    return decide(&f, skb->vlan_present ? 1 : 0) == TORII_TAKE ? TC_ACT_SHOT : TC_ACT_UNSPEC;
}

char torii_license[] SEC("license") = "Apache-2.0";
