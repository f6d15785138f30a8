#include "healthcheck/dns_message.h"

#include <fmt/format.h>

#include <algorithm>

#include "config/base/address.h"

namespace torii::healthcheck::dns {

using config::DnsRecord;

namespace {

constexpr uint16_t kInternet = 1, kRecursionDesired = 0x0100, kResponse = 0x8000,
                   kTruncated = 0x0200;
constexpr size_t kHeader = 12, kMostLabel = 63, kMostName = 253;
constexpr int kMostJumps = 32;  // compression pointers in one name
constexpr int kMostRecords = 512;

std::string lower(std::string_view s) {
    std::string out(s);
    std::ranges::transform(out, out.begin(), [](unsigned char c) { return char(std::tolower(c)); });
    return out;
}

std::vector<std::string_view> labels(std::string_view name) {
    std::vector<std::string_view> all;
    if (name.ends_with('.')) name.remove_suffix(1);
    while (!name.empty()) {
        const size_t dot = std::min(name.find('.'), name.size());
        all.push_back(name.substr(0, dot));
        name.remove_prefix(std::min(dot + 1, name.size()));
    }
    return all;
}

void put16(std::string& to, uint16_t v) {
    to += char(v >> 8);
    to += char(v & 0xff);
}

/// Reads within bounds; past the end everything is 0 and `ok` is false.
class Reader {
public:
    explicit Reader(std::string_view m) : message_(m) {}
    bool ok() const { return ok_; }
    size_t place() const { return at_; }
    uint8_t u8() { return need(1) ? uint8_t(message_[at_++]) : uint8_t(0); }
    uint16_t u16() {
        const uint8_t high = u8(), low = u8();
        return uint16_t(high << 8 | low);
    }
    std::string_view bytes(size_t n) {
        if (!need(n)) return {};
        at_ += n;
        return message_.substr(at_ - n, n);
    }
    /// Follows compression pointers (RFC 1035 4.1.4); the root is ".".
    std::string name() {
        std::string text;
        size_t back = 0;
        for (int jumps = 0; ok_;) {
            const uint8_t length = u8();
            if (length >= 0xc0) {
                const size_t to = size_t(length & 0x3f) << 8 | u8();
                if (back == 0) back = at_;
                ok_ = ok_ && ++jumps <= kMostJumps && to < message_.size();
                at_ = to;
            } else if (length > kMostLabel || text.size() + length > kMostName + 1) {
                ok_ = false;
            } else if (length == 0) {
                break;
            } else {
                text += std::string(bytes(length)) + '.';
            }
        }
        if (back != 0) at_ = back;
        if (text.size() > 1) text.pop_back();
        return text.empty() ? "." : text;
    }
    void go(size_t place) {
        ok_ = ok_ && place <= message_.size();
        at_ = place;
    }

private:
    bool need(size_t n) {
        return ok_ = ok_ && n <= message_.size() - std::min(at_, message_.size());
    }
    std::string_view message_;
    size_t at_ = 0;
    bool ok_ = true;
};

/// The record's data as zone files write it.
std::string data_text(Reader& in, DnsRecord type, size_t length) {
    const size_t end = in.place() + length;
    switch (type) {
        case DnsRecord::a: {
            const auto b = in.bytes(4);
            return b.size() == 4 ? fmt::format("{}.{}.{}.{}", uint8_t(b[0]), uint8_t(b[1]),
                                               uint8_t(b[2]), uint8_t(b[3]))
                                 : "";
        }
        case DnsRecord::aaaa: {
            const auto b = in.bytes(16);
            return b.size() == 16 ? to_string(Address::v6(b.data())) : "";
        }
        case DnsRecord::ns:
        case DnsRecord::cname:
        case DnsRecord::soa:
            return in.name();
        case DnsRecord::mx:
            in.u16();
            return in.name();
        case DnsRecord::txt: {
            std::string text;
            while (in.ok() && in.place() < end) text += in.bytes(in.u8());
            return text;
        }
    }
    return {};
}

}  // namespace

std::string name_mistake(std::string_view name) {
    if (name == ".") return {};
    if (name.empty() || name.size() > kMostName + name.ends_with('.'))
        return "a name has 1 to 253 characters";
    for (const std::string_view l : labels(name))
        if (l.empty() || l.size() > kMostLabel)
            return "the parts of a name have 1 to 63 characters";
    return {};
}

std::string query(uint16_t id, std::string_view name, DnsRecord type) {
    std::string m;
    put16(m, id);
    put16(m, kRecursionDesired);
    put16(m, 1);  // questions
    for (int n = 0; n < 3; ++n) put16(m, 0);
    for (const std::string_view l : labels(name)) {
        m += char(l.size());
        m += l;
    }
    m += '\0';
    put16(m, uint16_t(type));
    put16(m, kInternet);
    return m;
}

std::optional<Answer> parse(std::string_view message, std::string_view name, DnsRecord type) {
    if (message.size() < kHeader) return std::nullopt;
    Reader in(message);
    Answer a;
    a.id = in.u16();
    const uint16_t flags = in.u16();
    a.response = flags & kResponse;
    a.truncated = flags & kTruncated;
    a.code = flags & 0x0f;
    const uint16_t questions = in.u16(), answers = in.u16();
    in.bytes(4);  // the counts of the other sections
    for (int n = 0; n < questions && in.ok(); ++n) {
        const std::string asked = in.name();
        const bool same_type = in.u16() == uint16_t(type);
        const std::string wanted =
            name == "." ? "." : std::string(name.substr(0, name.size() - name.ends_with('.')));
        a.same_question = same_type && in.u16() == kInternet && lower(asked) == lower(wanted);
    }
    for (int n = 0; n < std::min<int>(answers, kMostRecords) && in.ok(); ++n) {
        in.name();
        const uint16_t found = in.u16();
        in.bytes(6);  // class, time to live
        const uint16_t length = in.u16();
        const size_t next = in.place() + length;
        if (in.ok() && found == uint16_t(type)) {
            std::string text = data_text(in, type, length);
            if (in.ok()) a.records.push_back(std::move(text));
        }
        in.go(next);
    }
    return in.ok() || a.truncated ? std::optional(a) : std::nullopt;
}

std::string code_name(uint8_t code) {
    constexpr std::string_view kNames[] = {"NOERROR",  "FORMERR", "SERVFAIL",
                                           "NXDOMAIN", "NOTIMP",  "REFUSED"};
    return code < std::size(kNames) ? std::string(kNames[code]) : fmt::format("RCODE {}", code);
}

}  // namespace torii::healthcheck::dns
