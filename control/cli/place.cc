#include "control/cli/place.h"

#include <cstdlib>

#include "config/load/load.h"

namespace torii::cli {

Result<Place> find_place(std::string instance, const std::string& file) {
    if (const char* named = std::getenv("TORII_INSTANCE"); named && *named && instance.empty())
        instance = named;
    if (!instance.empty() && !config::is_instance_name(instance))
        return fail(Errc::invalid,
                    "'" + instance + "' is no instance name: 1 to 32 of A-Z a-z 0-9 _ and -");
    Place place;
    if (!file.empty()) {
        config::Loaded loaded = config::load_file(file);
        if (!loaded.config) {
            std::string text = config::format(loaded.diagnostics);
            if (!text.empty()) text.pop_back();
            return fail(Errc::invalid, std::move(text));
        }
        if (!instance.empty()) config::set_instance(*loaded.config, instance);
        place = {loaded.config->instance, loaded.config->api.socket};
    } else {
        place.instance = instance.empty() ? "default" : instance;
        place.socket = config::default_api_socket(place.instance);
    }
    if (const char* socket = std::getenv("TORII_API_SOCKET"); socket && *socket)
        place.socket = socket;
    return place;
}

}  // namespace torii::cli
