#include "control/cli/completion.h"

#include <fmt/format.h>

#include "config/schema/schema.h"

namespace torii::cli {
namespace {

// %C: commands, one a line; %O: options; %K: keys that can be shown.
constexpr std::string_view kScript =
    R"BASH(# bash completion for torii; made by `torii completion bash`
_torii() {
    local word=${COMP_WORDS[COMP_CWORD]} before=${COMP_WORDS[COMP_CWORD-1]} said= i next=
    for ((i = 1; i < COMP_CWORD; i++)); do
        case ${COMP_WORDS[i]} in
            -i|-c|--instance|--config|--timeout|--service) ((i++)) ;;
            -*) ;;
            *) said+="${COMP_WORDS[i]} " ;;
        esac
    done
    case $before in
        -c|--config) mapfile -t COMPREPLY < <(compgen -f -- "$word"); return ;;
        -i|--instance) mapfile -t COMPREPLY < <(compgen -W "$(ls /run/torii 2>/dev/null)" -- "$word"); return ;;
    esac
    case $word in -*) mapfile -t COMPREPLY < <(compgen -W "%O" -- "$word"); return ;; esac
    case $said in
        "config show ") next="%K" ;;
        "config check "|"config apply ") mapfile -t COMPREPLY < <(compgen -f -- "$word"); return ;;
        *) next=$(sed -n "s/^$said\([^ ]*\).*/\1/p" <<'COMMANDS'
%CCOMMANDS
) ;;
    esac
    mapfile -t COMPREPLY < <(compgen -W "$next" -- "$word")
}
complete -F _torii torii
)BASH";

void replace(std::string& text, std::string_view what, const std::string& with) {
    const size_t at = text.find(what);
    if (at != text.npos) text.replace(at, what.size(), with);
}

}  // namespace

std::string bash_completion(std::span<const std::string> commands, std::span<const Option> known) {
    std::string lines, options, keys;
    for (const std::string& c : commands) lines += c + '\n';
    for (const Option& o : known) options += fmt::format("--{} ", o.long_name);
    for (const std::string& path : config::key_paths())
        if (path.find("[]") == path.npos && path.find(".NAME") == path.npos) keys += path + ' ';
    std::string script(kScript);
    replace(script, "%O", options);
    replace(script, "%K", keys);
    replace(script, "%C", lines);
    return script;
}

}  // namespace torii::cli
