#pragma once
// A choice without a branch. Whether the next packet is a request or a reply, TCP or UDP, cannot be
// predicted, and a wrong guess costs as much as a whole stage. A compiler asked for `a ? b : c`
// threads several such choices together into branches, so the conditional move is spelled out.

#include <cstdint>
#include <type_traits>

namespace torii {

/// `first ? a : b`, both of them computed. For unsigned numbers and pointers.
template <class T>
constexpr T either(bool first, T a, T b) {
    static_assert(std::is_unsigned_v<T> || std::is_pointer_v<T>);
#ifdef __x86_64__
    if (!std::is_constant_evaluated() && !__builtin_constant_p(first)) {
        using Register = std::conditional_t<sizeof(T) == 8, T, uint32_t>;
        Register chosen = Register(b);
        asm("testb %1, %1\n\tcmovne %2, %0" : "+r"(chosen) : "q"(first), "r"(Register(a)) : "cc");
        return T(chosen);
    }
#endif
    return first ? a : b;
}

}  // namespace torii
