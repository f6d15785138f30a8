#pragma once
// The command ipvsadm. Messages, listings and exit statuses are those of ipvsadm 1.31.

#include <istream>
#include <span>
#include <string>

namespace torii::cli {

/// What --help and --version print.
std::string ipvsadm_help(const std::string& argv0);
std::string ipvsadm_version();

/// What ipvsadm says when the kernel refuses a command: `verb` as api::to_string() spells it,
/// `code` as <errno.h> does.
std::string refusal_of(std::string_view verb, std::string_view code);

/// Does what the words say, with the toriid of $TORII_INSTANCE or $TORII_API_SOCKET.
int ipvsadm_main(std::span<const std::string> words, const std::string& argv0);

/// ipvsadm-save [-n]: the commands that make the table, on standard output.
int ipvsadm_save_main(std::span<const std::string> words, const std::string& argv0);
/// ipvsadm-restore: puts the table of standard input in the place of the one there is. Lines that
/// begin with # are left out.
int ipvsadm_restore_main();

}  // namespace torii::cli
