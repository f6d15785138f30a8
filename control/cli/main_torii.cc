// torii; and ipvsadm, ipvsadm-save and ipvsadm-restore when it is called so.

#include <string>
#include <vector>

#include "control/cli/ipvsadm.h"
#include "control/cli/torii.h"

int main(int argc, char** argv) {
    const std::vector<std::string> words(argv + (argc > 0 ? 1 : 0), argv + argc);
    const std::string argv0 = argc > 0 ? argv[0] : "torii";
    const std::string name = argv0.substr(argv0.rfind('/') + 1);
    if (name == "ipvsadm") return torii::cli::ipvsadm_main(words, argv0);
    if (name == "ipvsadm-save") return torii::cli::ipvsadm_save_main(words, name);
    if (name == "ipvsadm-restore") return torii::cli::ipvsadm_restore_main();
    return torii::cli::torii_main(words);
}
