"""Which commands an agent leaves to a person, as rules in a YAML file: ``commands.yaml`` beside this module, or the
one that ``AMELIA_COMMAND_POLICY`` names."""

import os
import re
from collections.abc import Mapping, Sequence
from fnmatch import fnmatchcase
from functools import lru_cache
from pathlib import Path
from typing import Annotated

import msgspec
import yaml
from msgspec import Meta

from ..errors import Refused
from .shell_words import commands_in

OURS = Path(__file__).with_name("commands.yaml")
MOST_WORDS = 12
_HARMLESS = frozenset(("/dev/null", "/dev/zero", "/dev/random", "/dev/urandom"))
_ALTERNATIVES = re.compile(r"\{([^{}]*)\}")


class CommandRule(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """``commands``: the program, then words that follow it. ``unless``: what makes them harmless. ``outside``: only
    where a path outside the worktree is named. ``why`` is said to the agent and to people. ``instead`` is what an agent
    does itself in its place: then it is no matter for people."""

    why: Annotated[str, Meta(min_length=1)]
    commands: Annotated[tuple[Annotated[str, Meta(min_length=1)], ...], Meta(min_length=1)]
    unless: tuple[str, ...] = ()
    outside: bool = False
    instead: str = ""


class Finding(msgspec.Struct, frozen=True, kw_only=True):
    """``words`` are the command's own first ones; ``instead`` as in the rule."""

    words: str
    why: str
    instead: str = ""

    @property
    def sentence(self) -> str:
        return f"a person has to decide about `{self.words}`, which was not run: {self.why}"


class CommandPolicy(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """``allow`` are commands that no rule is asked about; ``ours`` adds the rules that come with amelia."""

    rules: tuple[CommandRule, ...] = ()
    allow: tuple[str, ...] = ()
    ours: bool = False

    def judge(self, line: str, root: Path, home: Path) -> Finding | None:
        """The first command in the line that needs a person; None when there is none."""
        for words in commands_in(line):
            if any(_is(words, pattern) for pattern in self.allow):
                continue
            for rule in self.rules:
                if _fits(rule, words, root, home):
                    return Finding(words=_shown(words), why=rule.why, instead=rule.instead)
        return None


def command_policy(environ: Mapping[str, str] = os.environ) -> CommandPolicy:
    """Raises ``Refused`` naming the file and what does not fit."""
    named = environ.get("AMELIA_COMMAND_POLICY", "")
    return _read(named) if named else _read(str(OURS))


@lru_cache(maxsize=8)
def _read(name: str) -> CommandPolicy:
    try:
        policy = msgspec.convert(yaml.safe_load(Path(name).read_text(encoding="utf-8")) or {}, CommandPolicy)
    except OSError as error:
        raise Refused(f"the command policy {name} cannot be read: {error.strerror}; name a file that can") from error
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        said = " ".join(str(error).split())[:200]
        raise Refused(f"the command policy {name} is not YAML: {said}; mend that line") from error
    except msgspec.ValidationError as error:
        raise Refused(f"the command policy {name} does not fit: {error}; see docs/safety.md for its form") from error
    return msgspec.structs.replace(policy, rules=(*policy.rules, *_read(str(OURS)).rules)) if policy.ours else policy


def _fits(rule: CommandRule, words: Sequence[str], root: Path, home: Path) -> bool:
    if not any(_is(words, pattern) for pattern in rule.commands):
        return False
    if any(fnmatchcase(word, harmless) for word in words[1:] for harmless in rule.unless):
        return False
    return not rule.outside or any(_is_outside(word, root, home) for word in words[1:])


def _is(words: Sequence[str], pattern: str) -> bool:
    return any(_matches(words, one) for one in _patterns(pattern))


@lru_cache(maxsize=1024)
def _patterns(pattern: str) -> tuple[tuple[str, ...], ...]:
    """``a {b,c}`` as ``a b`` and ``a c``, each split into words."""
    found = _ALTERNATIVES.search(pattern)
    if found is None:
        return (tuple(pattern.split()),)
    head, tail = pattern[: found.start()], pattern[found.end() :]
    return tuple(one for part in found[1].split(",") for one in _patterns(f"{head}{part}{tail}"))


def _matches(words: Sequence[str], pattern: tuple[str, ...]) -> bool:
    program, *rest = pattern
    options = [part for part in rest if part.startswith("-")]
    if not words or not fnmatchcase(words[0], program):
        return False
    if not all(any(fnmatchcase(word, option) for word in words[1:]) for option in options):
        return False
    return _follow(words[1 : MOST_WORDS + 1], [part for part in rest if not part.startswith("-")])


def _follow(words: Sequence[str], wanted: Sequence[str]) -> bool:
    """Whether the words begin with those wanted. An option may stand before each, with a value or without one; ``**``
    is any words."""
    if not wanted:
        return True
    if not words:
        return False
    if wanted[0] == "**":
        return _follow(words, wanted[1:]) or _follow(words[1:], wanted)
    if words[0].startswith("-"):
        return _follow(words[1:], wanted) or ("=" not in words[0] and _follow(words[2:], wanted))
    return fnmatchcase(words[0], wanted[0]) and _follow(words[1:], wanted[1:])


def _is_outside(word: str, root: Path, home: Path) -> bool:
    """Of paths that are spelt out; a word that only may be one is taken to be inside."""
    path = word.partition("=")[2] if re.match(r"-?-?\w+=", word) else word
    for name in ("$HOME", "${HOME}", "~"):
        if path == name or path.startswith(f"{name}/"):
            path = f"{home}{path[len(name) :]}"
    if path in _HARMLESS or path.startswith(("/tmp/", "$", "-")):  # noqa: S108
        return False
    whole = os.path.normpath(root / path)
    inner = (os.path.normpath(root), os.path.normpath(home), os.path.normpath(home.with_name(f"{home.name}.tmp")))
    return not any(whole == top or whole.startswith(f"{top}/") for top in inner)


def _shown(words: Sequence[str]) -> str:
    text = " ".join(" ".join(words).split())
    return text if len(text) <= 120 else f"{text[:119]}…"
