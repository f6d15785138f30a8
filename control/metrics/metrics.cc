#include "control/metrics/metrics.h"

#include <fmt/format.h>
#include <prometheus/collectable.h>
#include <prometheus/metric_family.h>
#include <prometheus/text_serializer.h>

#include <array>
#include <limits>

namespace torii::metrics {
namespace {

using prometheus::ClientMetric;
using prometheus::MetricFamily;
using prometheus::MetricType;
using Labels = std::vector<ClientMetric::Label>;

struct Input {
    const api::Status& status;
    const api::Services& services;
    const api::Vrrp& vrrp;
    const api::Health& health;
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
    /// `buckets` count what is in each alone, by its upper bound; the last one has none.
    template <class Bucket>
    void add(const std::vector<Bucket>& buckets, uint64_t Bucket::*number, double sum,
             Labels labels) {
        ClientMetric m;
        m.label = std::move(labels);
        uint64_t count = 0;
        for (const Bucket& b : buckets) {
            count += b.*number;
            const double bound =
                b.up_to_us ? double(b.up_to_us) / 1e6 : std::numeric_limits<double>::infinity();
            m.histogram.bucket.push_back({count, bound});
        }
        m.histogram.sample_count = count;
        m.histogram.sample_sum = sum;
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

template <class Value>
void routers(const Input& in, Samples& out, Value value) {
    for (const api::VrrpInstance& v : in.vrrp.instances)
        out.add(double(value(v)), {{"vrrp_instance", v.name}});
}
void each_of(const Input& in, Samples& out, const char* label,
             std::map<std::string, uint64_t> api::VrrpInstance::*counts) {
    for (const api::VrrpInstance& v : in.vrrp.instances)
        for (const auto& [name, count] : v.*counts)
            out.add(double(count), {{"vrrp_instance", v.name}, {label, name}});
}

template <class Value>
void checks(const Input& in, Samples& out, Value value) {
    for (const api::Check& c : in.health.checks)
        for (const api::CheckedServer& s : c.servers)
            out.add(value(c), {{"service", s.service},
                               {"virtual", s.virtual_service},
                               {"backend", s.backend},
                               {"type", c.type},
                               {"target", c.target}});
}

constexpr auto kCounter = MetricType::Counter;
constexpr auto kGauge = MetricType::Gauge;
constexpr auto kHistogram = MetricType::Histogram;
constexpr const char* kOfService = "service, protocol, virtual";
constexpr const char* kOfBackend = "service, protocol, virtual, backend";
constexpr const char* kOfCheck = "service, virtual, backend, type, target";
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
    Metric{"torii_check_up", kGauge, kOfCheck, "1 while the check counts its server as up.",
           [](const Input& in, Samples& out) {
               checks(in, out, [](const api::Check& c) { return double(c.up); });
           }},
    Metric{"torii_check_duration_seconds", kGauge, kOfCheck, "How long the last probe took.",
           [](const Input& in, Samples& out) {
               checks(in, out, [](const api::Check& c) { return double(c.duration_us) / 1e6; });
           }},
    Metric{"torii_check_results_total", kCounter, "type, reason", "Probes by what they found.",
           [](const Input& in, Samples& out) {
               for (const auto& [type, reasons] : in.health.results)
                   for (const auto& [reason, count] : reasons)
                       out.add(double(count), {{"type", type}, {"reason", reason}});
           }},
    Metric{"torii_check_late_total", kCounter, "",
           "Probes that began more than 50 ms after their time.",
           [](const Input& in, Samples& out) { out.add(double(in.health.late)); }},
    Metric{"torii_check_lateness_seconds", kHistogram, "", "How long after their time probes began.",
           [](const Input& in, Samples& out) {
               out.add(in.health.lateness, &api::Lateness::probes,
                       double(in.health.lateness_sum_us) / 1e6, {});
           }},
    Metric{"torii_check_absent_seconds_total", kCounter, "",
           "Time in which the checker itself got no processor; it is held against no server.",
           [](const Input& in, Samples& out) { out.add(double(in.health.away_us) / 1e6); }},
    Metric{"torii_server_held", kGauge, "server, service, state",
           "1 for what an operator says by hand; an empty service means every one.",
           [](const Input& in, Samples& out) {
               for (const api::HeldServer& h : in.health.held)
                   out.add(1, {{"server", h.server}, {"service", h.service}, {"state", h.state}});
           }},
    Metric{"torii_service_quorum", kGauge, "virtual",
           "1 while the servers that are up weigh enough for the service.",
           [](const Input& in, Samples& out) {
               for (const api::ServiceHealth& s : in.health.services)
                   out.add(s.quorum, {{"virtual", s.virtual_service}});
           }},
    Metric{"torii_service_servers_up", kGauge, "virtual", "Checked servers that are up.",
           [](const Input& in, Samples& out) {
               for (const api::ServiceHealth& s : in.health.services)
                   out.add(double(s.up), {{"virtual", s.virtual_service}});
           }},
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
    Metric{"torii_vrrp_state", kGauge, "vrrp_instance, state",
           "1 for the state a VRRP instance is in: initialize, backup, active, fault.",
           [](const Input& in, Samples& out) {
               for (const api::VrrpInstance& v : in.vrrp.instances)
                   for (const char* state : {"initialize", "backup", "active", "fault"})
                       out.add(v.state == state, {{"vrrp_instance", v.name}, {"state", state}});
           }},
    Metric{"torii_vrrp_priority", kGauge, "vrrp_instance", "Effective priority.",
           [](const Input& in, Samples& out) {
               routers(in, out, [](const auto& v) { return v.priority; });
           }},
    Metric{"torii_vrrp_transitions_total", kCounter, "vrrp_instance, state",
           "Transitions by the state that was entered.",
           [](const Input& in, Samples& out) {
               each_of(in, out, "state", &api::VrrpInstance::transitions);
           }},
    Metric{"torii_vrrp_adverts_sent_total", kCounter, "vrrp_instance", "Adverts sent.",
           [](const Input& in, Samples& out) {
               routers(in, out, [](const auto& v) { return v.sent; });
           }},
    Metric{"torii_vrrp_adverts_received_total", kCounter, "vrrp_instance", "Good adverts heard.",
           [](const Input& in, Samples& out) {
               routers(in, out, [](const auto& v) { return v.received; });
           }},
    Metric{"torii_vrrp_adverts_refused_total", kCounter, "vrrp_instance, reason",
           "Messages refused, by the first rule they break.",
           [](const Input& in, Samples& out) {
               each_of(in, out, "reason", &api::VrrpInstance::refused);
           }},
    Metric{"torii_vrrp_resignations_total", kCounter, "vrrp_instance, direction",
           "Adverts of priority 0, heard (in) and sent (out).",
           [](const Input& in, Samples& out) {
               for (const api::VrrpInstance& v : in.vrrp.instances)
                   both(out, {{"vrrp_instance", v.name}}, v.resignations_received,
                        v.resignations_sent);
           }},
    Metric{"torii_vrrp_weaker_total", kCounter, "vrrp_instance",
           "Adverts of weaker routers heard while active.",
           [](const Input& in, Samples& out) {
               routers(in, out, [](const auto& v) { return v.weaker; });
           }},
    Metric{"torii_vrrp_adverts_late_total", kCounter, "vrrp_instance",
           "Adverts sent more than half an interval late.",
           [](const Input& in, Samples& out) {
               routers(in, out, [](const auto& v) { return v.late; });
           }},
    Metric{"torii_vrrp_send_failed_total", kCounter, "vrrp_instance",
           "Adverts that the kernel would not take.",
           [](const Input& in, Samples& out) {
               routers(in, out, [](const auto& v) { return v.send_failed; });
           }},
    Metric{"torii_vrrp_advert_lateness_seconds", kHistogram, "vrrp_instance",
           "How late adverts were sent.",
           [](const Input& in, Samples& out) {
               for (const api::VrrpInstance& v : in.vrrp.instances)
                   out.add(v.lateness, &api::VrrpLateness::adverts, double(v.lateness_sum_us) / 1e6,
                           {{"vrrp_instance", v.name}});
           }},
    Metric{"torii_vrrp_messages_lost_total", kCounter, "",
           "Messages dropped by the kernel because too many waited.",
           [](const Input& in, Samples& out) { out.add(double(in.vrrp.lost)); }},
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

std::string exposition(const api::Status& status, const api::Services& services,
                       const api::Vrrp& vrrp, const api::Health& health) {
    return prometheus::TextSerializer().Serialize(
        Collector({status, services, vrrp, health}).Collect());
}

std::string reference() {
    std::string out = "| metric | type | labels | meaning |\n|---|---|---|---|\n";
    for (const Metric& m : kMetrics)
        out += fmt::format("| `{}` | {} | {} | {} |\n", m.name,
                           m.type == kCounter     ? "counter"
                           : m.type == kHistogram ? "histogram"
                                                  : "gauge",
                           m.labels, m.help);
    return out;
}

}  // namespace torii::metrics
