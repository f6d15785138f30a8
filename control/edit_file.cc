#include "control/edit_file.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <fstream>
#include <nlohmann/json.hpp>
#include <utility>

namespace torii::control {
namespace {

using nlohmann::json;

constexpr int kVersion = 1;
constexpr size_t kSlack = 1000;  // lines out of date that are nothing to care about

json to_json(const ServiceKey& k) {
    return {to_string(k.address), k.port, uint8_t(k.protocol), k.mark};
}
ServiceKey key_from(const json& j) {
    const auto a = parse_address(j.at(0).get<std::string>());
    if (!a) throw json::other_error::create(500, a.error().message, &j);
    return {*a, j.at(1), Protocol(j.at(2).get<uint8_t>()), j.at(3)};
}

Endpoint endpoint_from(const json& j) {
    const auto e = parse_endpoint(j.get<std::string>());
    if (!e) throw json::other_error::create(500, e.error().message, &j);
    return *e;
}

json to_json(const std::optional<Service>& s) {
    if (!s) return nullptr;
    return {{"scheduler", s->scheduler},
            {"flags", s->scheduler_flags},
            {"persistence", s->persistence_timeout},
            {"mask", s->persistence_mask},
            {"one_packet", s->one_packet},
            {"engine", s->pe},
            {"added", s->added}};
}
std::optional<Service> service_from(const json& j, const ServiceKey& key) {
    if (j.is_null()) return std::nullopt;
    Service s;
    s.key = key;
    s.scheduler = j.at("scheduler");
    s.scheduler_flags = j.at("flags");
    s.persistence_timeout = j.at("persistence");
    s.persistence_mask = j.at("mask");
    s.one_packet = j.at("one_packet");
    s.pe = j.at("engine");
    s.added = j.at("added");
    return s;
}

json to_json(const std::optional<Destination>& d) {
    if (!d) return nullptr;
    json j{{"weight", d->weight}, {"forward", uint8_t(d->forward)}, {"added", d->added}};
    if (d->upper != 0) j["upper"] = d->upper;
    if (d->lower != 0) j["lower"] = d->lower;
    if (d->edited != 0) j["edited"] = d->edited;
    if (d->tunnel != shm::Tunnel{})
        j["tunnel"] = {uint8_t(d->tunnel.type), uint8_t(d->tunnel.checksum), d->tunnel.port.host()};
    return j;
}
std::optional<Destination> destination_from(const json& j, const Endpoint& key) {
    if (j.is_null()) return std::nullopt;
    Destination d;
    d.key = key;
    d.weight = j.at("weight");
    const uint8_t forward = j.at("forward");
    if (forward > uint8_t(shm::Forward::dr))
        throw json::other_error::create(500, "unknown forwarding method", &j);
    d.forward = shm::Forward(forward);
    d.added = j.at("added");
    d.upper = j.value("upper", 0u);
    d.lower = j.value("lower", 0u);
    d.edited = j.value("edited", uint64_t{0});
    if (const auto t = j.find("tunnel"); t != j.end()) {
        const uint8_t type = t->at(0), checksum = t->at(1);
        if (type > 2 || checksum > 2) throw json::other_error::create(500, "unknown tunnel", &j);
        d.tunnel = {shm::TunnelType(type), shm::TunnelChecksum(checksum),
                    be16::from_host(t->at(2))};
    }
    return d;
}

// Lines of one text in the making.
class Writer {
public:
    void add(const json& j) {
        text_ += j.dump(-1, ' ', false, json::error_handler_t::replace);
        text_ += '\n';
        ++lines_;
    }
    void service(const ServiceKey& key, const ServiceEdit* e) {
        const json k = to_json(key);
        add({{"service", k}, {"gone", true}});
        if (e == nullptr) return;
        if (e->edited) add({{"service", k}, {"file", to_json(e->file)}, {"now", to_json(e->now)}});
        for (const auto& [endpoint, d] : e->destinations) destination(k, endpoint, d);
    }
    void destination(const json& key, const Endpoint& endpoint, const DestinationEdit& d) {
        add({{"service", key},
             {"server", to_string(endpoint)},
             {"file", to_json(d.file)},
             {"now", to_json(d.now)}});
    }
    void timeouts(const Edits& edits) {
        json all = json::array();
        for (const auto& t : edits.timeouts)
            all.push_back(t ? json{t->file, t->now} : json(nullptr));
        add({{"timeouts", std::move(all)}});
    }
    void end(const Edits& edits) { add({{"end", edits.last}}); }
    const std::string& text() const { return text_; }
    size_t lines() const { return lines_; }

private:
    std::string text_;
    size_t lines_ = 0;
};

void take_line(Edits& edits, const json& j) {
    if (const auto t = j.find("timeouts"); t != j.end()) {
        for (size_t i = 0; i < edits.timeouts.size(); ++i)
            if (t->at(i).is_null())
                edits.timeouts[i].reset();
            else
                edits.timeouts[i] = TimeoutEdit{t->at(i).at(0), t->at(i).at(1)};
        return;
    }
    const ServiceKey key = key_from(j.at("service"));
    const bool gone = j.contains("gone");
    if (const auto s = j.find("server"); s != j.end()) {
        const Endpoint endpoint = endpoint_from(*s);
        ServiceEdit& e = edits.at(key);
        if (gone)
            e.destinations.erase(endpoint);
        else
            e.destinations[endpoint] = {destination_from(j.at("file"), endpoint),
                                        destination_from(j.at("now"), endpoint)};
        return edits.tidy(key);
    }
    edits.services.erase(key);
    if (gone) return;
    ServiceEdit& e = edits.at(key);
    e.edited = true;
    e.file = service_from(j.at("file"), key);
    e.now = service_from(j.at("now"), key);
}

// Throws what nlohmann-json throws.
Edits read(std::istream& in, size_t& lines) {
    Edits edits;
    std::vector<json> batch;
    std::string text;
    bool first = true;
    for (lines = 0; std::getline(in, text); ++lines) {
        if (in.eof()) break;  // without its end: it was being written
        json j = json::parse(text);
        if (std::exchange(first, false)) {
            if (j.at("torii_edits") != kVersion)
                throw json::other_error::create(500, "another version of torii wrote it", &j);
        } else if (const auto end = j.find("end"); end != j.end()) {
            for (const json& one : batch) take_line(edits, one);
            edits.last = *end;
            batch.clear();
        } else {
            batch.push_back(std::move(j));
        }
    }
    if (first && lines == 0) throw json::other_error::create(500, "it is empty", nullptr);
    return edits;
}

void add_all(Writer& out, const Edits& edits) {
    for (const auto& [key, e] : edits.services) out.service(key, e.get());
    if (std::ranges::any_of(edits.timeouts, [](const auto& t) { return t.has_value(); }))
        out.timeouts(edits);
}

Result<> write_to(const std::string& path, int flags, const std::string& text) {
    const int fd = ::open(path.c_str(), O_WRONLY | O_CLOEXEC | flags, 0640);
    if (fd < 0) return fail_errno(path, errno);
    size_t done = 0;
    while (done < text.size()) {
        const ssize_t n = ::write(fd, text.data() + done, text.size() - done);
        if (n < 0 && errno == EINTR) continue;
        if (n < 0) {
            const auto error = fail_errno(path, errno);
            ::close(fd);
            return error;
        }
        done += size_t(n);
    }
    ::close(fd);
    return {};
}

}  // namespace

std::string to_lines(const Edits& edits) {
    Writer out;
    add_all(out, edits);
    return out.text();
}

Result<Edits> EditFile::load() {
    std::ifstream in(path_);
    if (!in) return Edits{};
    try {
        Edits edits = read(in, lines_);
        in.close();
        // A torn end must not be written on to.
        if (auto ok = replace(edits); !ok) return tl::unexpected(ok.error());
        return edits;
    } catch (const json::exception& e) {
        const std::string aside = path_ + ".bad";
        ::rename(path_.c_str(), aside.c_str());
        const size_t line = std::exchange(lines_, 0) + 1;
        return fail(Errc::invalid,
                    fmt::format("{}: line {}: {} (kept as {})", path_, line, e.what(), aside));
    }
}

Result<> EditFile::append(const Batch& b) {
    Writer out;
    for (const Touched& t : b.touched) {
        const ServiceEdit* e = b.edits.find(t.service);
        if (!t.destination) {
            out.service(t.service, e);
            continue;
        }
        const json key = to_json(t.service);
        const auto it =
            e ? e->destinations.find(*t.destination) : decltype(e->destinations.end()){};
        if (e != nullptr && it != e->destinations.end())
            out.destination(key, *t.destination, it->second);
        else
            out.add({{"service", key}, {"server", to_string(*t.destination)}, {"gone", true}});
    }
    if (b.timeouts) out.timeouts(b.edits);
    out.end(b.edits);
    size_t things = 0;
    for (const auto& [key, e] : b.edits.services) things += e->destinations.size() + 1;
    if (lines_ == 0 || lines_ + out.lines() > 2 * things + kSlack) return replace(b.edits);
    if (auto ok = write_to(path_, O_APPEND, out.text()); !ok) return ok;
    lines_ += out.lines();
    return {};
}

Result<> EditFile::replace(const Edits& edits) {
    Writer out;
    out.add({{"torii_edits", kVersion}});
    add_all(out, edits);
    out.end(edits);
    const std::string fresh = path_ + ".new";
    if (auto ok = write_to(fresh, O_CREAT | O_TRUNC, out.text()); !ok) return ok;
    if (::rename(fresh.c_str(), path_.c_str()) != 0) return fail_errno(path_, errno);
    lines_ = out.lines();
    return {};
}

}  // namespace torii::control
