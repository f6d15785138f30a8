#include "dataplane/xdp/kernel.h"

#include <fmt/format.h>
#include <net/if.h>

#include <cerrno>
#include <cstdarg>
#include <cstdio>

namespace torii::xdp {
namespace {

thread_local std::string printed;

int keep(libbpf_print_level level, const char* format, va_list arguments) {
    if (level != LIBBPF_WARN) return 0;
    char line[512];
    const int n = std::vsnprintf(line, sizeof(line), format, arguments);
    if (n <= 0) return n;
    printed = line;
    while (!printed.empty() && printed.back() == '\n') printed.pop_back();
    return n;
}

}  // namespace

QuietLibbpf::QuietLibbpf() : before_(libbpf_set_print(keep)) { printed.clear(); }
QuietLibbpf::~QuietLibbpf() { libbpf_set_print(before_); }
std::string QuietLibbpf::last_line() { return printed; }

Result<Object> load(std::span<const std::byte> elf, std::string_view name) {
    const QuietLibbpf quiet;
    const std::string object_name(name);
    LIBBPF_OPTS(bpf_object_open_opts, options, .object_name = object_name.c_str());
    Object object(bpf_object__open_mem(elf.data(), elf.size(), &options));
    if (!object) return fail_errno(fmt::format("program {} cannot be read", name), errno);
    if (const int e = bpf_object__load(object.get()); e != 0)
        return fail(Errc::io,
                    fmt::format("the kernel refuses program {}: {}; {}", name,
                                fail_errno("load", -e).value().message, QuietLibbpf::last_line()));
    return object;
}

Result<int> interface_index(std::string_view interface) {
    const unsigned index = if_nametoindex(std::string(interface).c_str());
    if (index == 0)
        return fail(Errc::not_found, fmt::format("interface {} does not exist", interface));
    return static_cast<int>(index);
}

Result<Fd> program_by_id(uint32_t id) {
    Fd fd(bpf_prog_get_fd_by_id(id));
    if (!fd.valid()) return fail_errno(fmt::format("BPF program {}", id), errno);
    return fd;
}

}  // namespace torii::xdp
