// xdp_tool: the functions of dataplane/xdp from a shell, for end-to-end tests.
//
//   xdp_tool attached|detach|release|queues|mac INTERFACE
//   xdp_tool attach|guard|apply INTERFACE [service=tcp,ADDRESS:PORT] [vip=ADDRESS]
//            [local=ADDRESS] [backend=tcp,ADDRESS:PORT] [mac=MAC] ...
//   xdp_tool object FILE                    writes the XDP object there
//   xdp_tool foreign INTERFACE              attaches an XDP program that is not torii's
//   xdp_tool foreign-filter INTERFACE       adds a tc ingress filter beside the guard's place
#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <linux/bpf.h>
#include <linux/pkt_cls.h>
#include <net/if.h>

#include <cstdio>
#include <fstream>
#include <string>
#include <vector>

#include "dataplane/xdp/objects.h"
#include "dataplane/xdp/steering.h"

namespace torii::xdp {
namespace {

Result<ServiceKey> parse_key(const std::string& text) {
    const size_t comma = text.find(',');
    if (comma == std::string::npos) return fail(Errc::invalid, "protocol,address:port is wanted");
    auto protocol = parse_protocol(text.substr(0, comma));
    if (!protocol) return tl::unexpected(protocol.error());
    auto endpoint = parse_endpoint(text.substr(comma + 1));
    if (!endpoint) return tl::unexpected(endpoint.error());
    return ServiceKey{endpoint->address, endpoint->port, *protocol};
}

template <class T>
Result<> append(Result<T> parsed, std::vector<T>& to) {
    if (!parsed) return tl::unexpected(parsed.error());
    to.push_back(*parsed);
    return {};
}

Result<SteeringSet> parse_set(const std::vector<std::string>& words) {
    SteeringSet set;
    for (const std::string& word : words) {
        const size_t equals = word.find('=');
        const std::string key = word.substr(0, equals);
        const std::string value = equals == std::string::npos ? "" : word.substr(equals + 1);
        Result<> r = fail(Errc::invalid, "unknown word " + word);
        if (key == "service") r = append(parse_key(value), set.services);
        if (key == "backend") r = append(parse_key(value), set.backends);
        if (key == "vip") r = append(parse_address(value), set.vips);
        if (key == "local") r = append(parse_address(value), set.locals);
        if (key == "mac") r = append(parse_mac(value), set.macs);
        if (!r) return tl::unexpected(r.error());
    }
    return set;
}

Result<> show_attached(const std::string& interface) {
    static constexpr const char* kOwners[] = {"none", "ours", "foreign"};
    static constexpr const char* kModes[] = {"none", "native", "generic", "offload"};
    auto a = attached(interface);
    if (!a) return tl::unexpected(a.error());
    std::printf("xdp=%s mode=%s guard=%s\n", kOwners[int(a->xdp.owner)], kModes[int(a->mode)],
                kOwners[int(a->guard.owner)]);
    return {};
}

/// A program that returns `verdict`, called "somebody".
int somebody(bpf_prog_type type, int verdict) {
    const bpf_insn program[] = {
        {BPF_ALU64 | BPF_MOV | BPF_K, BPF_REG_0, 0, 0, verdict},
        {BPF_JMP | BPF_EXIT, 0, 0, 0, 0},
    };
    return bpf_prog_load(type, "somebody", "GPL", program, 2, nullptr);
}

Result<> attach_foreign(const std::string& interface) {
    const int index = int(if_nametoindex(interface.c_str()));
    const int e = bpf_xdp_attach(index, somebody(BPF_PROG_TYPE_XDP, XDP_PASS), 0, nullptr);
    if (e != 0) return fail_errno("bpf_xdp_attach", -e);
    return {};
}

Result<> attach_foreign_filter(const std::string& interface) {
    LIBBPF_OPTS(bpf_tc_hook, hook, .ifindex = int(if_nametoindex(interface.c_str())),
                .attach_point = BPF_TC_INGRESS);
    LIBBPF_OPTS(bpf_tc_opts, options, .prog_fd = somebody(BPF_PROG_TYPE_SCHED_CLS, TC_ACT_UNSPEC),
                .handle = 1, .priority = 1);
    if (const int e = bpf_tc_attach(&hook, &options); e != 0)
        return fail_errno("bpf_tc_attach", -e);
    return {};
}

Result<> run(const std::string& verb, const std::string& name,
             const std::vector<std::string>& words) {
    auto set = parse_set(words);
    if (!set) return tl::unexpected(set.error());
    if (verb == "attached") return show_attached(name);
    if (verb == "attach") return attach_xdp(name, *set);
    if (verb == "guard") return guard(name, *set);
    if (verb == "apply") return xdp::apply(name, *set);
    if (verb == "foreign") return attach_foreign(name);
    if (verb == "foreign-filter") return attach_foreign_filter(name);
    if (verb == "detach") return detach_xdp(name);
    if (verb == "release") return release(name);
    if (verb == "queues") {
        auto q = queues(name);
        if (!q) return tl::unexpected(q.error());
        std::printf("receive=%u bindable=%u\n", q->receive, q->bindable);
        return {};
    }
    if (verb == "mac") {
        auto m = interface_mac(name);
        if (!m) return tl::unexpected(m.error());
        std::printf("%s\n", to_string(*m).c_str());
        return {};
    }
    if (verb == "object") {
        const auto bytes = xdp_object();
        std::ofstream(name, std::ios::binary)
            .write(reinterpret_cast<const char*>(bytes.data()),
                   static_cast<std::streamsize>(bytes.size()));
        return {};
    }
    return fail(Errc::invalid, "unknown verb " + verb);
}

}  // namespace
}  // namespace torii::xdp

int main(int argc, char** argv) {
    if (argc < 3) {
        std::fprintf(stderr, "xdp_tool VERB INTERFACE [KEY=VALUE...]\n");
        return 2;
    }
    const std::vector<std::string> words(argv + 3, argv + argc);
    const auto r = torii::xdp::run(argv[1], argv[2], words);
    if (!r) std::fprintf(stderr, "xdp_tool: %s\n", r.error().message.c_str());
    return r ? 0 : 1;
}
