"""What `ckread completion SHELL` writes: each asks ckread at every TAB.

Answers are lines and never split or expanded by the shell; it quotes what it inserts:
readline as file names, zsh and fish of themselves.
"""

from __future__ import annotations

_BASH = r"""# Completion of ckread for bash. In ~/.bashrc: eval "$(ckread completion bash)"
_ckread() {
    local kind answer program=$1
    [[ $program == "~/"* ]] && program=$HOME/${program:2}
    answer=$(CKREAD_WORDBREAKS=$COMP_WORDBREAKS command "$program" completion bash -- \
        "${COMP_LINE:0:COMP_POINT}" 2> /dev/null)
    COMPREPLY=()
    IFS=$'\n' read -r -d '' -a COMPREPLY <<< "$answer"
    kind=${COMPREPLY[0]-}
    COMPREPLY=("${COMPREPLY[@]:1}")
    compopt -o nosort 2> /dev/null
    [[ $kind == files ]] || compopt +o filenames 2> /dev/null
    if [[ ${#COMPREPLY[@]} -eq 1 && ${COMPREPLY[0]} == *[/,=] ]]; then
        compopt -o nospace 2> /dev/null
    fi
    return 0
}
complete -o filenames -F _ckread ckread
"""

_ZSH = r"""#compdef ckread
# Completion of ckread for zsh. In ~/.zshrc, after compinit: eval "$(ckread completion zsh)"
_ckread() {
    local line answer text meaning program=${(Q)words[1]}
    local -a whole whole_shown begun begun_shown
    [[ $program == '~/'* ]] && program=$HOME/${program#'~/'}
    line="${(j: :)words[1,CURRENT-1]} $QIPREFIX$IPREFIX$PREFIX"
    for answer in "${(@f)$(command "$program" completion zsh -- "$line" 2> /dev/null)}"; do
        [[ -n $answer ]] || continue
        text=${answer%%$'\t'*} meaning=${answer#*$'\t'}
        [[ -n $meaning ]] && meaning="$text  -- $meaning" || meaning=$text
        if [[ $text == */ ]]; then
            begun+=("$text") begun_shown+=("$meaning")
        else
            whole+=("$text") whole_shown+=("$meaning")
        fi
    done
    compset -P '*/'
    local -a per_line
    [[ "${whole_shown[*]}" == *'  -- '* ]] && per_line=(-l)
    (( $#begun )) && compadd -V ckread $per_line -S '' -d begun_shown -a begun
    (( $#whole )) && compadd -V ckread $per_line -d whole_shown -a whole
    (( $#begun + $#whole ))
}
if [[ ${funcstack[1]} == _ckread ]]; then
    _ckread "$@"
else
    compdef _ckread ckread
fi
"""

_FISH = r"""# Completion of ckread for fish. In config.fish: ckread completion fish | source
function __ckread_complete
    set -l program (commandline -opc)[1]
    set program (string replace -r '^~/' "$HOME/" -- $program)
    command $program completion fish -- (commandline -cp | string collect) 2>/dev/null
end
complete -c ckread -f -a '(__ckread_complete)'
"""

SCRIPTS = {"bash": _BASH, "zsh": _ZSH, "fish": _FISH}
"""By the name of the shell."""
