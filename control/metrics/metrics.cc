#include "control/metrics/metrics.h"

#include <fmt/format.h>
#include <prometheus/collectable.h>
#include <prometheus/metric_family.h>
#include <prometheus/text_serializer.h>

#include <array>

namespace torii::metrics {
namespace {

using prometheus::ClientMetric;
using prometheus::MetricFamily;
using prometheus::MetricType;
using Labels = std::vector<ClientMetric::Label>;

struct Input {
    const api::Status& status;
    const api::Services& services;
};

// Where a row's samples go.
class Samples {
public:
    explicit Samples(MetricFamily& family) : family_(family) {}
    void add(double value, Labels labels = {}) {
        ClientMetric m;
        m.label = std::move(labels);
        (family_.type == MetricType::Counter ? m.counter.value : m.gauge.value) = value;
        family_.metric.push_back(std::move(m));
    }

private:
    MetricFamily& family_;
};

// A metric is a row: adding one is adding one here.
struct Metric {
    const char* name;
    MetricType type;
    const char* labels;  // for the reference
    const char* help;
    void (*collect)(const Input&, Samples&);
};

std::string virtual_of(const api::Service& s) { return to_string(s.endpoint); }

Labels labels_of(const api::Service& s) {
    return {{"service", s.name},
            {"protocol", std::string(to_string(s.protocol))},
            {"virtual", virtual_of(s)}};
}
Labels labels_of(const api::Service& s, const api::Destination& d) {
    Labels l = labels_of(s);
    l.push_back({"backend", to_string(d.endpoint)});
    return l;
}
Labels with(Labels l, const char* name, const char* value) {
    l.push_back({name, value});
    return l;
}

template <class Value>
void services(const Input& in, Samples& out, Value value) {
    for (const api::Service& s : in.services.services) out.add(double(value(s)), labels_of(s));
}
template <class Value>
void backends(const Input& in, Samples& out, Value value) {
    for (const api::Service& s : in.services.services)
        for (const api::Destination& d : s.destinations) out.add(double(value(d)), labels_of(s, d));
}
void both(Samples& out, const Labels& labels, uint64_t in, uint64_t sent) {
    out.add(double(in), with(labels, "direction", "in"));
    out.add(double(sent), with(labels, "direction", "out"));
}
template <uint64_t api::Destination::*Member>
uint64_t sum(const api::Service& s) {
    uint64_t n = 0;
    for (const api::Destination& d : s.destinations) n += d.*Member;
    return n;
}

constexpr auto kCounter = MetricType::Counter;
constexpr auto kGauge = MetricType::Gauge;
constexpr const char* kOfService = "service, protocol, virtual";
constexpr const char* kOfBackend = "service, protocol, virtual, backend";
constexpr const char* kOfServiceBoth = "service, protocol, virtual, direction";
constexpr const char* kOfBackendBoth = "service, protocol, virtual, backend, direction";

const std::array kMetrics = {
    Metric{"torii_packets_total", kCounter, "verdict",
           "Packets by what became of them; their sum is what was received, less those waiting.",
           [](const Input& in, Samples& out) {
               for (const auto& [verdict, packets] : in.status.verdicts)
                   out.add(double(packets), {{"verdict", verdict}});
           }},
    Metric{"torii_packets_received_total", kCounter, "", "Packets taken from the ports.",
           [](const Input& in, Samples& out) { out.add(double(in.status.received)); }},
    Metric{"torii_packets_waiting", kGauge, "",
           "Packets held until their next hop's link-layer address is known.",
           [](const Input& in, Samples& out) { out.add(double(in.status.waiting)); }},
    Metric{"torii_packets_transmitted_total", kCounter, "", "Packets given to the ports.",
           [](const Input& in, Samples& out) { out.add(double(in.status.transmitted)); }},
    Metric{"torii_bytes_transmitted_total", kCounter, "", "Bytes given to the ports.",
           [](const Input& in, Samples& out) { out.add(double(in.status.transmitted_bytes)); }},
    Metric{"torii_service_connections_total", kCounter, kOfService, "Connections scheduled.",
           [](const Input& in, Samples& out) {
               services(in, out, [](const auto& s) { return s.counts.connections; });
           }},
    Metric{"torii_service_packets_total", kCounter, kOfServiceBoth,
           "Packets of a service, from clients (in) and to them (out; NAT only).",
           [](const Input& in, Samples& out) {
               for (const auto& s : in.services.services)
                   both(out, labels_of(s), s.counts.in_packets, s.counts.out_packets);
           }},
    Metric{"torii_service_bytes_total", kCounter, kOfServiceBoth,
           "Bytes of a service's IP packets, from clients (in) and to them (out; NAT only).",
           [](const Input& in, Samples& out) {
               for (const auto& s : in.services.services)
                   both(out, labels_of(s), s.counts.in_bytes, s.counts.out_bytes);
           }},
    Metric{
        "torii_service_connections_active", kGauge, kOfService,
        "Connections that are established or being so.",
        [](const Input& in, Samples& out) { services(in, out, sum<&api::Destination::active>); }},
    Metric{
        "torii_service_connections_inactive", kGauge, kOfService,
        "Connections that are closing, and all of UDP.",
        [](const Input& in, Samples& out) { services(in, out, sum<&api::Destination::inactive>); }},
    Metric{"torii_backend_connections_total", kCounter, kOfBackend, "Connections scheduled.",
           [](const Input& in, Samples& out) {
               backends(in, out, [](const auto& d) { return d.counts.connections; });
           }},
    Metric{"torii_backend_packets_total", kCounter, kOfBackendBoth,
           "Packets to a backend (in) and from it (out; NAT only).",
           [](const Input& in, Samples& out) {
               for (const auto& s : in.services.services)
                   for (const auto& d : s.destinations)
                       both(out, labels_of(s, d), d.counts.in_packets, d.counts.out_packets);
           }},
    Metric{"torii_backend_bytes_total", kCounter, kOfBackendBoth,
           "Bytes of IP packets to a backend (in) and from it (out; NAT only).",
           [](const Input& in, Samples& out) {
               for (const auto& s : in.services.services)
                   for (const auto& d : s.destinations)
                       both(out, labels_of(s, d), d.counts.in_bytes, d.counts.out_bytes);
           }},
    Metric{"torii_backend_connections_active", kGauge, kOfBackend,
           "Connections that are established or being so.",
           [](const Input& in, Samples& out) {
               backends(in, out, [](const auto& d) { return d.active; });
           }},
    Metric{"torii_backend_connections_inactive", kGauge, kOfBackend,
           "Connections that are closing, and all of UDP.",
           [](const Input& in, Samples& out) {
               backends(in, out, [](const auto& d) { return d.inactive; });
           }},
    Metric{"torii_backend_weight", kGauge, kOfBackend, "Weight; 0 takes no new connections.",
           [](const Input& in, Samples& out) {
               backends(in, out, [](const auto& d) { return d.weight; });
           }},
    Metric{"torii_table_capacity", kGauge, "", "Entries the connection table has room for.",
           [](const Input& in, Samples& out) { out.add(in.status.table.capacity); }},
    Metric{"torii_table_used", kGauge, "", "Connections and persistence templates in the table.",
           [](const Input& in, Samples& out) { out.add(double(in.status.table.used)); }},
    Metric{"torii_table_insertions_total", kCounter, "", "Entries made.",
           [](const Input& in, Samples& out) { out.add(double(in.status.table.insertions)); }},
    Metric{"torii_table_expired_total", kCounter, "", "Entries whose time was up.",
           [](const Input& in, Samples& out) { out.add(double(in.status.table.expired)); }},
    Metric{"torii_table_recycled_total", kCounter, "",
           "Half-open entries given up early because the table was full.",
           [](const Input& in, Samples& out) { out.add(double(in.status.table.recycled)); }},
    Metric{"torii_table_full_total", kCounter, "", "Insertions that found the table full.",
           [](const Input& in, Samples& out) { out.add(double(in.status.table.full)); }},
    Metric{"torii_table_stateless_total", kCounter, "",
           "Packets forwarded without an entry because the table was full.",
           [](const Input& in, Samples& out) { out.add(double(in.status.table.stateless)); }},
    Metric{"torii_events_lost_total", kCounter, "",
           "Notes from workers to toriid that found their ring full.",
           [](const Input& in, Samples& out) { out.add(double(in.status.events_lost)); }},
    Metric{"torii_generation", kGauge, "kind, state",
           "Number of the generation of tables that is published and that the workers use.",
           [](const Input& in, Samples& out) {
               const auto add = [&](const char* kind, const api::Generation& g) {
                   out.add(double(g.published), {{"kind", kind}, {"state", "published"}});
                   out.add(double(g.in_force), {{"kind", kind}, {"state", "in_force"}});
               };
               add("services", in.status.generation.services);
               add("routes", in.status.generation.routes);
           }},
    Metric{"torii_dataplane_up", kGauge, "", "1 while torii-dataplane runs.",
           [](const Input& in, Samples& out) { out.add(in.status.dataplane_up); }},
    Metric{"torii_dataplane_ready", kGauge, "", "1 while its workers forward.",
           [](const Input& in, Samples& out) { out.add(in.status.dataplane_ready); }},
    Metric{"torii_workers", kGauge, "", "Workers of the dataplane.",
           [](const Input& in, Samples& out) { out.add(in.status.workers); }},
    Metric{"torii_build_info", kGauge, "version, instance", "Always 1.",
           [](const Input& in, Samples& out) {
               out.add(1, {{"version", in.status.version}, {"instance", in.status.instance}});
           }},
};

class Collector : public prometheus::Collectable {
public:
    explicit Collector(Input in) : in_(in) {}
    std::vector<MetricFamily> Collect() const override {
        std::vector<MetricFamily> all;
        for (const Metric& m : kMetrics) {
            MetricFamily family{m.name, m.help, m.type, {}};
            Samples samples(family);
            m.collect(in_, samples);
            all.push_back(std::move(family));
        }
        return all;
    }

private:
    Input in_;
};

}  // namespace

std::string exposition(const api::Status& status, const api::Services& services) {
    return prometheus::TextSerializer().Serialize(Collector({status, services}).Collect());
}

std::string reference() {
    std::string out = "| metric | type | labels | meaning |\n|---|---|---|---|\n";
    for (const Metric& m : kMetrics)
        out += fmt::format("| `{}` | {} | {} | {} |\n", m.name,
                           m.type == kCounter ? "counter" : "gauge", m.labels, m.help);
    return out;
}

}  // namespace torii::metrics
