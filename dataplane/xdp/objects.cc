#include "dataplane/xdp/objects.h"

// The assembler copies the files in; OBJECT_DEPENDS in CMakeLists.txt makes them prerequisites.
asm(".pushsection .rodata, \"a\", @progbits\n"
    ".balign 8\n"
    "torii_xdp_object_begin: .incbin \"" TORII_BPF_DIR
    "/torii_xdp.bpf.o\"\n"
    "torii_xdp_object_end:\n"
    ".balign 8\n"
    "torii_guard_object_begin: .incbin \"" TORII_BPF_DIR
    "/torii_guard.bpf.o\"\n"
    "torii_guard_object_end:\n"
    ".popsection\n");

extern "C" {
extern const std::byte torii_xdp_object_begin[], torii_xdp_object_end[];
extern const std::byte torii_guard_object_begin[], torii_guard_object_end[];
}

namespace torii::xdp {

std::span<const std::byte> xdp_object() { return {torii_xdp_object_begin, torii_xdp_object_end}; }

std::span<const std::byte> guard_object() {
    return {torii_guard_object_begin, torii_guard_object_end};
}

}  // namespace torii::xdp
