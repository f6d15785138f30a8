#include "control/api/rows.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <optional>

namespace torii::api {
namespace {

constexpr size_t kServiceFields = 20, kDestinationFields = 22;

// One line in the making.
class Row {
public:
    Row(std::string& out, char kind) : out_(out) { out_ += kind; }
    ~Row() { out_ += '\n'; }
    Row& operator<<(std::string_view text) { return out_ += '\t', out_ += text, *this; }
    Row& operator<<(const std::string& text) { return *this << std::string_view(text); }
    Row& operator<<(const char* text) { return *this << std::string_view(text); }
    Row& operator<<(uint64_t number) {
        const fmt::format_int digits(number);
        return *this << std::string_view(digits.data(), digits.size());
    }
    template <class T>  // Counts, Rates
    Row& all(const T& t) {
        return *this << t.connections << t.in_packets << t.out_packets << t.in_bytes << t.out_bytes;
    }

private:
    std::string& out_;
};

// The fields of a line, taken one after the other.
template <size_t N>
class Fields {
public:
    explicit Fields(std::string_view line) {
        size_t from = 0;
        for (; count_ < N; ++count_) {
            const size_t end = std::min(line.find('\t', from), line.size());
            field_[count_] = line.substr(from, end - from);
            if ((from = end + 1) > line.size()) break;
        }
        whole_ = count_ == N - 1 && from > line.size();
    }
    bool good() const { return whole_ && !failed_; }
    std::string_view text() { return field_[at_++]; }
    template <class T>
    void number(T& to) {
        const std::string_view t = text();
        const auto [stop, error] = std::from_chars(t.data(), t.data() + t.size(), to);
        if (error != std::errc{} || stop != t.data() + t.size()) failed_ = true;
    }
    void endpoint(Endpoint& to) {
        const auto e = parse_endpoint(text());
        e ? void(to = *e) : void(failed_ = true);
    }
    template <class T>
    void all(T& t) {
        for (auto* n : {&t.connections, &t.in_packets, &t.out_packets, &t.in_bytes, &t.out_bytes})
            number(*n);
    }
    void fail() { failed_ = true; }

private:
    std::array<std::string_view, N> field_;
    size_t count_ = 0, at_ = 1;  // the first one is the kind
    bool whole_ = false, failed_ = false;
};

// How many there are, then each: one may be empty.
std::string flags_text(const std::vector<std::string>& flags) {
    return fmt::format("{}:{}", flags.size(), fmt::join(flags, ","));
}

bool take_flags(std::string_view text, std::vector<std::string>& to) {
    size_t count = 0;
    const auto [stop, error] = std::from_chars(text.data(), text.data() + text.size(), count);
    if (error != std::errc{} || stop == text.data() + text.size() || *stop != ':' || count > 8)
        return false;
    text.remove_prefix(size_t(stop - text.data()) + 1);
    for (size_t i = 0; i < count; ++i) {
        const size_t end = std::min(text.find(','), text.size());
        to.emplace_back(text.substr(0, end));
        text.remove_prefix(std::min(end + 1, text.size()));
    }
    return text.empty();
}

std::optional<Protocol> protocol_of(std::string_view name) {
    for (const Protocol p : {Protocol::any, Protocol::tcp, Protocol::udp, Protocol::sctp})
        if (to_string(p) == name) return p;
    return std::nullopt;
}

bool take_service(std::vector<Service>& all, std::string_view line) {
    Fields<kServiceFields> f(line);
    Service s;
    if (const auto p = protocol_of(f.text()))
        s.protocol = *p;
    else
        f.fail();
    f.endpoint(s.endpoint);
    f.number(s.mark);
    s.scheduler = f.text();
    if (!take_flags(f.text(), s.scheduler_flags)) f.fail();
    f.number(s.persistence);
    s.netmask = f.text();
    s.one_packet = f.text() == "1";
    s.engine = f.text();
    f.all(s.counts);
    f.all(s.rates);
    if (f.good()) all.push_back(std::move(s));
    return f.good();
}

bool take_destination(std::vector<Service>& all, std::string_view line) {
    if (all.empty()) return false;
    Fields<kDestinationFields> f(line);
    Destination d;
    f.endpoint(d.endpoint);
    d.forward = f.text();
    for (auto* n : {&d.weight, &d.upper, &d.lower}) f.number(*n);
    for (auto* n : {&d.active, &d.inactive, &d.persistent}) f.number(*n);
    d.tunnel = f.text();
    f.number(d.tunnel_port);
    d.tunnel_checksum = f.text();
    f.all(d.counts);
    f.all(d.rates);
    if (f.good()) all.back().destinations.push_back(std::move(d));
    return f.good();
}

}  // namespace

void append_rows(std::string& out, const Service& s) {
    {
        Row row(out, 'S');
        row << to_string(s.protocol) << to_string(s.endpoint) << s.mark << s.scheduler
            << flags_text(s.scheduler_flags) << s.persistence << s.netmask
            << (s.one_packet ? "1" : "0") << s.engine;
        row.all(s.counts).all(s.rates);
    }
    for (const Destination& d : s.destinations) {
        Row row(out, 'D');
        row << to_string(d.endpoint) << d.forward << d.weight << d.upper << d.lower << d.active
            << d.inactive << d.persistent << d.tunnel << d.tunnel_port << d.tunnel_checksum;
        row.all(d.counts).all(d.rates);
    }
}

bool take_row(std::vector<Service>& all, std::string_view line) {
    if (line.starts_with("S\t")) return take_service(all, line);
    return line.starts_with("D\t") && take_destination(all, line);
}

}  // namespace torii::api
