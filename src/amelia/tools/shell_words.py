"""The simple commands in a line of shell, as far as they can be seen without running it.

It is for recognising what somebody means to do, not for keeping anybody from doing it: what is hidden in a variable, a
script or another language is not seen.
"""

import re
import shlex
from collections.abc import Iterator, Sequence

DEEPEST = 6
SHELLS = frozenset(("sh", "bash", "dash", "zsh", "ksh", "ash", "fish"))
WRAPPERS = {
    **dict.fromkeys(("sudo", "doas"), "-u -g -h -p -C -r -t -U -D"),
    **dict.fromkeys(("env",), "-u -C -S --unset --chdir"),
    **dict.fromkeys(("nice", "ionice", "chrt"), "-n -c -p"),
    **dict.fromkeys(("timeout", "gtimeout"), "-k -s --kill-after --signal"),
    **dict.fromkeys(("nohup", "setsid", "time", "exec", "command", "builtin", "stdbuf", "unbuffer", "caffeinate"), ""),
    **dict.fromkeys(("xargs", "parallel"), "-I -n -P -L -s -d -E -a -j"),
    **dict.fromkeys(("watch", "strace", "ltrace", "flock", "chroot", "unshare", "busybox"), "-n -e -o -w"),
    **dict.fromkeys(("npx", "bunx", "pnpx", "uvx", "pipx", "corepack"), "-p --package --from --spec"),
}
"""Programs that run another, with those of their options that take a value."""
_PLACE_FIRST = frozenset(("timeout", "gtimeout", "flock", "chroot"))
_RUNS_WITH = {"poetry": "run", "uv": "run", "pdm": "run", "hatch": "run", "pipenv": "run", "rye": "run", "pipx": "run"}
_RUNS_WITH |= {"npm": "exec", "pnpm": "exec", "yarn": "exec", "bundle": "exec", "mise": "exec", "direnv": "exec"}
_KEYWORDS = frozenset(("if", "then", "else", "elif", "fi", "do", "done", "while", "until", "for", "case", "esac"))
_KEYWORDS |= frozenset(("in", "{", "}", "!", "(", ")", "function", "select"))
_ASSIGNMENT = re.compile(r"[A-Za-z_]\w*\+?=")
_SUBSTITUTION = re.compile(r"\$\(((?:[^()]|\([^()]*\))*)\)|`([^`]*)`|[<>]\(((?:[^()]|\([^()]*\))*)\)")
_ARITHMETIC = re.compile(r"\$\(\((?:[^()]|\([^()]*\))*\)\)")
_HEREDOC = re.compile(r"<<-?\s*(['\"]?)(\w+)\1([^\n]*)\n(.*?)^\s*\2\s*$", re.DOTALL | re.MULTILINE)
_ENDS = frozenset(("&&", "||", ";", ";;", "|", "|&", "&", "\n", "(", ")"))


def commands_in(line: str, depth: int = 0) -> Iterator[tuple[str, ...]]:
    """Program and arguments of each, the program without its folder; those inside others too."""
    if depth > DEEPEST:
        return
    line = _ARITHMETIC.sub("0", line)
    bodies = [found[4] for found in _HEREDOC.finditer(line) if _feeds_a_shell(line[: found.start()], found[3])]
    line = _HEREDOC.sub(lambda found: f" {found[3]}\n", line)
    for found in _SUBSTITUTION.finditer(line):
        yield from commands_in(next(filter(None, found.groups()), ""), depth + 1)
    for body in bodies:
        yield from commands_in(body, depth + 1)
    for words in _split(line):
        yield from _unwrapped(words, depth)


def _feeds_a_shell(before: str, after: str) -> bool:
    words = (before.rsplit("\n", 1)[-1] + after).replace("|", " ").replace(";", " ").split()
    return any(word.rsplit("/", 1)[-1] in SHELLS for word in words)


def _split(line: str) -> Iterator[list[str]]:
    words: list[str] = []
    comment = False
    for word in _words(line):
        comment = (comment or word.startswith("#")) and "\n" not in word
        if comment:
            continue
        if word in _ENDS or set(word) <= set("();|&\n"):
            if words:
                yield words
            words = []
        else:
            words.append(word)
    if words:
        yield words


def _words(line: str) -> list[str]:
    """A newline outside of quotes is a word of its own. What cannot be parsed is split at spaces and at ends."""
    lexer = shlex.shlex(line.replace("\\\n", " "), posix=True, punctuation_chars="();|&\n<>")
    lexer.whitespace = " \t\r"
    lexer.commenters = ""
    lexer.whitespace_split = True
    try:
        return [word for word in lexer]  # noqa: C416 - the lexer is its own iterator, which list() asks for its length
    except ValueError:
        return re.findall(r"[();|&\n]+|[^\s();|&]+", line)


def _unwrapped(words: Sequence[str], depth: int) -> Iterator[tuple[str, ...]]:
    rest = _without_redirections(words)
    while rest and (rest[0] in _KEYWORDS or _ASSIGNMENT.match(rest[0])):
        rest = rest[1:]
    if not rest or depth > DEEPEST:
        return
    name, arguments = rest[0].rsplit("/", 1)[-1].removesuffix(".exe"), rest[1:]
    yield (name, *arguments)
    if name in SHELLS or name in ("eval", "su", "runuser"):
        yield from _given(name, arguments, depth)
    elif name in WRAPPERS:
        yield from _unwrapped(_after_options(name, arguments), depth + 1)
    if name in _RUNS_WITH and _RUNS_WITH[name] in arguments[:4]:
        after = arguments[arguments.index(_RUNS_WITH[name]) + 1 :]
        yield from _unwrapped([word for word in after if word != "--"], depth + 1)
    if name.startswith("python") and arguments[:1] == ["-m"]:
        yield from _unwrapped(arguments[1:], depth + 1)
    elif (name.startswith("python") or name in ("node", "ruby", "perl")) and arguments:
        yield (arguments[0].rsplit("/", 1)[-1], *arguments[1:])
    if name == "find":
        for at, word in enumerate(arguments):
            if word in ("-exec", "-execdir", "-ok", "-okdir"):
                yield from _unwrapped(arguments[at + 1 :], depth + 1)


def _given(name: str, arguments: Sequence[str], depth: int) -> Iterator[tuple[str, ...]]:
    """The line that a shell is given after -c, and eval as its arguments."""
    if name == "eval":
        yield from commands_in(" ".join(arguments), depth + 1)
        return
    for at, word in enumerate(arguments[:-1]):
        if re.fullmatch(r"-[a-zA-Z]*c|--command", word):
            yield from commands_in(arguments[at + 1], depth + 1)
            return


def _after_options(name: str, arguments: Sequence[str]) -> Sequence[str]:
    with_value, at = WRAPPERS[name].split(), 0
    while at < len(arguments) and (arguments[at].startswith("-") or _ASSIGNMENT.match(arguments[at])):
        at += 2 if arguments[at] in with_value else 1
    return arguments[at + (name in _PLACE_FIRST) :]


def _without_redirections(words: Sequence[str]) -> list[str]:
    kept, skip = list[str](), False
    for word in words:
        if skip:
            skip = False
        elif set(word) <= set("<>&|") and set(word) & set("<>"):
            skip = True
            if kept and kept[-1].isdigit():
                kept.pop()
        else:
            kept.append(word)
    return kept
