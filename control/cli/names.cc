#include "control/cli/names.h"

#include <arpa/inet.h>
#include <fmt/format.h>
#include <netdb.h>

#include <memory>
#include <unordered_map>

namespace torii::cli {
namespace {

std::string number(const Address& a) {
    char text[INET6_ADDRSTRLEN] = "";
    if (a.is_v4())
        ::inet_ntop(AF_INET, a.bytes.data() + 12, text, sizeof text);
    else
        ::inet_ntop(AF_INET6, a.bytes.data(), text, sizeof text);
    return text;
}

std::string host_name(const Address& a) {
    char name[NI_MAXHOST];
    int failed;
    if (a.is_v4()) {
        sockaddr_in sa{};
        sa.sin_family = AF_INET;
        sa.sin_addr.s_addr = a.as_v4().raw();
        failed = ::getnameinfo(reinterpret_cast<sockaddr*>(&sa), sizeof sa, name, sizeof name,
                               nullptr, 0, NI_NAMEREQD);
    } else {
        sockaddr_in6 sa{};
        sa.sin6_family = AF_INET6;
        std::memcpy(&sa.sin6_addr, a.bytes.data(), 16);
        failed = ::getnameinfo(reinterpret_cast<sockaddr*>(&sa), sizeof sa, name, sizeof name,
                               nullptr, 0, NI_NAMEREQD);
    }
    return failed ? number(a) : name;
}

std::string port_name(uint16_t port, Protocol p) {
    const servent* s = ::getservbyport(htons(port), std::string(to_string(p)).c_str());
    return s ? s->s_name : fmt::format("{}", port);
}

}  // namespace

Names numeric_names() {
    return {number, [](uint16_t port, Protocol) { return fmt::format("{}", port); }};
}

Names resolved_names() {
    // A table names the same few addresses again and again.
    const auto hosts = std::make_shared<std::unordered_map<Address, std::string>>();
    return {[hosts](const Address& a) -> std::string {
                const auto [it, fresh] = hosts->try_emplace(a);
                if (fresh) it->second = host_name(a);
                return it->second;
            },
            port_name};
}

std::string endpoint_name(const Names& names, const Endpoint& e, Protocol p) {
    const bool v4 = e.address.is_v4();
    std::string name = fmt::format("{}{}{}:{}", v4 ? "" : "[", names.host(e.address), v4 ? "" : "]",
                                   names.port(e.port, p));
    return name.substr(0, 59);
}

}  // namespace torii::cli
