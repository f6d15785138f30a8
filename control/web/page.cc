#include "control/web/page.h"

#include <fmt/format.h>

namespace torii::web {
namespace {

std::string escaped(std::string_view text) {
    std::string out;
    for (const char c : text) {
        switch (c) {
            case '<':
                out += "&lt;";
                break;
            case '>':
                out += "&gt;";
                break;
            case '&':
                out += "&amp;";
                break;
            case '"':
                out += "&quot;";
                break;
            default:
                out += c;
        }
    }
    return out;
}

}  // namespace

std::string page(const api::Status& s, const api::Services& all) {
    std::string rows;
    for (const api::Service& v : all.services) {
        rows += fmt::format("<tr><th colspan=5>{} {}/{} {}</th></tr>\n", escaped(v.name),
                            to_string(v.endpoint), to_string(v.protocol), escaped(v.scheduler));
        for (const api::Destination& d : v.destinations)
            rows += fmt::format(
                "<tr><td>{} {}</td><td>{}</td><td>{}</td><td>{}</td><td>{}</td></tr>\n",
                escaped(d.name), to_string(d.endpoint), d.forward, d.weight, d.active, d.inactive);
    }
    return fmt::format(
        "<!doctype html><html lang=en><meta charset=utf-8><title>torii {0}</title>\n"
        "<style>body{{font-family:sans-serif;margin:2em}}td,th{{padding:.2em 1em;"
        "text-align:left}}</style>\n"
        "<h1>torii {0}</h1>\n<p>version {1}, dataplane {2}</p>\n"
        "<table>\n<tr><th>server<th>forward<th>weight<th>active<th>inactive</tr>\n{3}</table>\n"
        "<p><a href=/metrics>metrics</a> <a href=/v1/status>status</a> "
        "<a href=/v1/services>services</a> <a href=/v1/ready>ready</a> "
        "<a href=/v1/connections>connections</a></p></html>\n",
        escaped(s.instance), escaped(s.version),
        s.dataplane_ready ? "ready" : (s.dataplane_up ? "starting" : "down"), rows);
}

}  // namespace torii::web
