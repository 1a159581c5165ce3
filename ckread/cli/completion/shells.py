"""A command line that is being typed → its words, as the shell would hand them over.

Shells of the Bourne family and fish quote nearly alike: a backslash, `'…'`, `"…"`.
The last word may be open still. Variables of the environment are filled in; nothing
else is expanded, and nothing is ever run.

What `ckread completion SHELL` writes: each asks ckread at every TAB.

Answers are lines and never split or expanded by the shell; it quotes what it inserts:
readline as file names, zsh and fish of themselves.
"""

from __future__ import annotations

import os
import re
from typing import NamedTuple

_ASSIGNMENT = re.compile(r"[A-Za-z_]\w*=")
_VARIABLE = re.compile(r"\$(?:(\w+)|\{(\w+)\})")
_ENDS_COMMAND = ";|&\n("
_ESCAPED_IN_DOUBLE = '$`"\\\n'


class TypedLine(NamedTuple):
    """A command line up to the cursor.

    Attributes:
        words: the whole words before the cursor, the program first.
        current: the word at the cursor, without its quotes; it may be empty.
        kept: how many characters of it the shell keeps as they stand: bash completes
            from the last of its word breaks on.
        is_redirection: whether it names a file to read from or to write to.
        open_quote: the quote that it stands in, if that is not closed.
    """

    words: list[str]
    current: str
    kept: int = 0
    is_redirection: bool = False
    open_quote: str = ""


def parse_line(line: str, *, breaks: str = "", is_fish: bool = False) -> TypedLine:
    r"""Split a command line up to the cursor."""
    reading = _Reading(line, breaks, is_fish)
    reading.run()
    words = reading.words
    while words and _ASSIGNMENT.match(words[0]):
        words.pop(0)
    current = "".join(reading.parts)
    return TypedLine(words, current, reading.kept, reading.is_redirection, reading.open_quote)


class _Reading:
    """The state of reading a line: the words so far, and the parts of the current one."""

    def __init__(self, line: str, breaks: str, is_fish: bool) -> None:
        self.line = line
        self.words: list[str] = []
        self.parts: list[str] = []
        self.kept = 0
        self.is_redirection = False
        self.open_quote = ""
        self._breaks = breaks
        self._is_fish = is_fish
        self._is_begun = False
        self._at = 0

    def run(self) -> None:
        """Read the whole line."""
        while self._at < len(self.line):
            character = self.line[self._at]
            self._at += 1
            if character in " \t":
                self._end_word()
            elif character in "<>":
                if "".join(self.parts).strip("0123456789&"):
                    self._end_word()
                self._drop()
                self.is_redirection = True
            elif character in _ENDS_COMMAND and self.line[self._at : self._at + 1] != ">":
                self._end_word()
                self.words.clear()
            elif character in "'\"":
                self._quoted(character)
            elif character == "\\":
                self._add(self.line[self._at : self._at + 1])
                self._at += 1
            elif not (character == "$" and self._variable()):
                self._add(character)
                if character in self._breaks:
                    self._break()

    def _quoted(self, quote: str) -> None:
        self._add("")
        escapable = tuple(_ESCAPED_IN_DOUBLE) if quote == '"' else ("'", "\\") * self._is_fish
        self.open_quote = quote
        self._break_at_quote(quote)
        while self._at < len(self.line):
            character = self.line[self._at]
            self._at += 1
            if character == quote:
                self.open_quote = ""
                self._break_at_quote(quote)
                return
            if character == "\\" and self.line[self._at : self._at + 1] in escapable:
                self._add(self.line[self._at : self._at + 1])
                self._at += 1
            elif not (character == "$" and quote == '"' and self._variable()):
                self._add(character)

    def _variable(self) -> bool:
        """Fill in a variable of the environment that begins here, if there is one."""
        match = _VARIABLE.match(self.line, self._at - 1)
        value = os.environ.get(match[1] or match[2]) if match else None
        if match is None or value is None:
            return False
        self._add(value)
        self._at = match.end()
        return True

    def _add(self, text: str) -> None:
        self._is_begun = True
        self.parts.append(text)

    def _break(self) -> None:
        self.kept = sum(map(len, self.parts))

    def _break_at_quote(self, quote: str) -> None:
        if quote in self._breaks:
            self._break()

    def _end_word(self) -> None:
        if self._is_begun:
            if not self.is_redirection:
                self.words.append("".join(self.parts))
            self._drop()

    def _drop(self) -> None:
        self.parts.clear()
        self.kept = 0
        self._is_begun = False
        self.is_redirection = False


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
