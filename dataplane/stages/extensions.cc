#include "dataplane/stages/extensions.h"

#include "dataplane/stages/headers.h"

namespace torii::stages {

Chain walk_extensions(const std::byte* ip, uint32_t length) {
    enum : uint8_t { routing = 43, fragment = 44, ah = 51 };
    Chain c;
    c.protocol = reinterpret_cast<const wire::Ipv6*>(ip)->next_header;
    uint32_t at = sizeof(wire::Ipv6);
    for (int n = 0;; ++n) {
        c.offset = uint16_t(at);
        if (!is_extension(c.protocol) || c.later_fragment) return c;
        if (n == kMaxExtensions) return c.verdict = Verdict::kernel_other, c;
        if (length < at + 8) return c.verdict = Verdict::drop_truncated, c;
        const auto* h = reinterpret_cast<const uint8_t*>(ip + at);
        uint32_t size = (uint32_t(h[1]) + 1) * 8;
        if (c.protocol == ah) size = (uint32_t(h[1]) + 2) * 4;  // RFC 4302 2.2
        if (c.protocol == fragment) {
            size = 8;
            const uint16_t field = uint16_t(h[2] << 8 | h[3]);
            // Offset 0 and no more to come is a whole packet (RFC 6946).
            if (field & 0xfff9) {
                // A fragment of a fragment: nobody but the end puts that together.
                if (c.fragment) return c.verdict = Verdict::kernel_other, c;
                c.fragment = true;
                c.fragment_header = uint16_t(at);
                c.fragment_next = h[0];
            }
            if (field & 0xfff8) c.later_fragment = true;
        }
        // Segments left: the destination is a waypoint, not the end (RFC 8200 4.4).
        if (c.protocol == routing && h[3] != 0) return c.verdict = Verdict::kernel_other, c;
        if (length < at + size) return c.verdict = Verdict::drop_truncated, c;
        c.protocol = h[0];
        at += size;
    }
}

}  // namespace torii::stages
