#include "dataplane/io/options.h"

#include <boost/program_options.hpp>
#include <cstdlib>
#include <sstream>

namespace torii::io {
namespace {

namespace po = boost::program_options;

po::options_description describe(Options& o) {
    po::options_description all("Options");
    all.add_options()                                                                     //
        ("config,c", po::value(&o.config_file)->value_name("FILE"), "the configuration")  //
        ("instance,i", po::value(&o.instance)->value_name("NAME"),
         "which instance this is; default: $TORII_INSTANCE, else the key 'instance'")  //
        ("fresh-table", po::bool_switch(&o.fresh_table),
         "discard the connection table that a former run left")  //
        ("log-level", po::value(&o.log_level)->value_name("LEVEL"),
         "trace, debug, info (default), warning, error or off")  //
        ("print-pipeline", po::bool_switch(&o.print_pipeline),
         "print the order of the stages and leave")                              //
        ("version", po::bool_switch(&o.version), "print the version and leave")  //
        ("help,h", po::bool_switch(&o.help), "print this and leave");
    return all;
}

}  // namespace

Result<Options> parse_command_line(int argc, const char* const* argv) {
    Options o;
    try {
        po::variables_map values;
        const auto all = describe(o);
        // Nothing is positional; without this line a stray word would be taken silently.
        po::store(po::command_line_parser(argc, argv).options(all).positional({}).run(), values);
        po::notify(values);
    } catch (const po::error& e) {
        return fail(Errc::invalid, e.what());
    }
    if (o.instance.empty())
        if (const char* name = std::getenv("TORII_INSTANCE")) o.instance = name;
    if (o.config_file.empty() && !o.help && !o.version && !o.print_pipeline)
        return fail(Errc::invalid, "no configuration was named: use -c FILE");
    return o;
}

std::string usage() {
    Options o;
    std::ostringstream text;
    text << "torii-dataplane: balances packets over servers\n"
            "Usage: torii-dataplane -c FILE [options]\n\n"
         << describe(o);
    return text.str();
}

}  // namespace torii::io
