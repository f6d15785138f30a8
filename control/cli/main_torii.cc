// torii; and ipvsadm, ipvsadm-save and ipvsadm-restore when it is called so.

#include <fcntl.h>
#include <unistd.h>

#include <cstdio>
#include <string>
#include <vector>

#include "control/cli/ipvsadm.h"
#include "control/cli/torii.h"

namespace {

// Where standard descriptors are closed, the socket to toriid would get their numbers, and what is
// printed would go to toriid.
void fill_standard_descriptors() {
    int fd;
    do fd = ::open("/dev/null", O_RDWR);
    while (fd >= 0 && fd <= STDERR_FILENO);
    if (fd >= 0) ::close(fd);
}

// The status of a command whose output could not all be written is not 0.
int written(int status) {
    if (std::fflush(stdout) == 0 && std::ferror(stdout) == 0) return status;
    std::perror("torii: cannot write");
    return status != 0 ? status : 1;
}

}  // namespace

int main(int argc, char** argv) {
    fill_standard_descriptors();
    const std::vector<std::string> words(argv + (argc > 0 ? 1 : 0), argv + argc);
    const std::string argv0 = argc > 0 ? argv[0] : "torii";
    const std::string name = argv0.substr(argv0.rfind('/') + 1);
    if (name == "ipvsadm") return torii::cli::ipvsadm_main(words, argv0);
    if (name == "ipvsadm-save") return torii::cli::ipvsadm_save_main(words, name);
    if (name == "ipvsadm-restore") return torii::cli::ipvsadm_restore_main();
    return written(torii::cli::torii_main(words));
}
