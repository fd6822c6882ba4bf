"""Conversation files from disk; every mistake with its line."""

import re
from difflib import get_close_matches
from pathlib import Path
from typing import get_args

import msgspec
import yaml

from amelia.domain.recorded import Recorded
from amelia.errors import Malformed
from amelia_replay.conversation import Agent, Conversation, Fault, Section, Tokens, Turn
from amelia_replay.plainyaml import Lines, parse

_PATH = re.compile(r"^(?P<what>.*?)(?: - at `(?:key in )?(?P<path>\$.*)`)?$", re.DOTALL)
_UNKNOWN = re.compile(r"Object contains unknown field `(?P<key>.*)`")
_NO_VALUE = re.compile(r"Invalid enum value '(?P<value>.*)'", re.DOTALL)
_STEP = re.compile(r"\.(?P<key>\w+)|\[(?P<index>\d+)\]")


class File(msgspec.Struct, frozen=True, kw_only=True):
    """``lines`` holds where every part of the file begins, by its path of keys and indexes."""

    name: str
    conversation: Conversation
    lines: Lines

    def line(self, *path: str | int) -> int:
        return nearest_line(self.lines, path)


def read(path: Path) -> File:
    """Raises ``Malformed``, one sentence with file and line."""
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise Malformed(f"{path} cannot be read ({error}); give a conversation file in YAML and UTF-8") from error
    return parse_file(path.name, text)


def parse_file(name: str, text: str) -> File:
    try:
        document, lines = parse(text)
    except yaml.MarkedYAMLError as error:
        line = error.problem_mark.line + 1 if error.problem_mark else 1
        raise Malformed(f"{name}, line {line}: {error.problem or 'this is no YAML'}") from error
    except (yaml.YAMLError, RecursionError) as error:
        raise Malformed(f"{name} is no YAML: {str(error).splitlines()[0]}") from error
    if not isinstance(document, dict):
        raise Malformed(f"{name} holds no conversation; begin with 'version: 1' and 'conversations:'")
    try:
        conversation = msgspec.convert(document, Conversation)
    except msgspec.ValidationError as error:
        raise Malformed(_explained(name, str(error), lines)) from error
    file = File(name=name, conversation=conversation, lines=lines)
    _check(file)
    return file


def nearest_line(lines: Lines, path: tuple[str | int, ...]) -> int:
    while path and path not in lines:
        path = path[:-1]
    return lines.get(path, 1)


def _explained(name: str, error: str, lines: Lines) -> str:
    found = _PATH.match(error)
    what, written = (found["what"], found["path"] or "$") if found else (error, "$")
    path: tuple[str | int, ...] = tuple(
        step["key"] if step["key"] is not None else int(step["index"]) for step in _STEP.finditer(written)
    )
    unknown = _UNKNOWN.match(what)
    stranger = _NO_VALUE.match(what) if path[-1:] == ("agent",) else None
    if stranger:
        there = f"there is no agent {stranger['value']!r}{_meant(stranger['value'], list(get_args(Agent)))}"
        return f"{name}, line {nearest_line(lines, path)}: {there}"
    if unknown is None:
        place = f" at {written[2:]}" if written != "$" else ""
        return f"{name}, line {nearest_line(lines, path)}: {what[0].lower()}{what[1:].replace('`', '')}{place}"
    key, (kind, fields) = unknown["key"], _fields(path)
    return f"{name}, line {nearest_line(lines, (*path, key))}: {kind} has no {key!r}{_meant(key, fields)}"


def _meant(word: str, known: list[str]) -> str:
    near = get_close_matches(word, known, n=1, cutoff=0.5)
    return f"; did you mean {near[0]!r}?" if near else f", only {', '.join(known)}"


def _fields(path: tuple[str | int, ...]) -> tuple[str, list[str]]:
    names = [step for step in path if isinstance(step, str)]
    kinds: dict[str, tuple[str, type[msgspec.Struct]]] = {
        "conversations": ("a conversation", Section),
        "turns": ("a turn", Turn),
        "errors": ("an error", Fault),
        "usage": ("usage", Tokens),
        "recorded": ("what is recorded", Recorded),
    }
    kind, shape = kinds.get(names[-1] if names else "", ("the file", Conversation))
    return kind, list(shape.__struct_fields__)


def _check(file: File) -> None:
    """What the types cannot say."""
    seen: dict[tuple[str, str, int, str | None], int] = {}
    for number, section in enumerate(file.conversation.conversations):
        line = file.line("conversations", number)
        key = (section.agent, section.task, section.round, section.issue)
        if key in seen:
            raise Malformed(
                f"{file.name}, line {line}: {described(section)} was already given in line {seen[key]};"
                " give one of them another task or round"
            )
        seen[key] = line
        for index, turn in enumerate(section.turns):
            _check_turn(file, turn, ("conversations", number, "turns", index))


def _check_turn(file: File, turn: Turn, path: tuple[str | int, ...]) -> None:
    where = f"{file.name}, line {file.line(*path)}"
    if not turn.say and not turn.calls:
        raise Malformed(f"{where}: the turn answers nothing; give it 'say' or 'call'")
    for index, fault in enumerate(turn.errors):
        if fault.status is None and fault.cut is None:
            line = file.line(*path, "errors", index)
            raise Malformed(f"{file.name}, line {line}: the error does nothing; give it 'status' or 'cut'")


def described(section: Section) -> str:
    task = "" if section.task == "*" else f", task {section.task}"
    issue = "" if section.issue is None else f", issue {section.issue}"
    return f"{section.agent}{task}, round {section.round}{issue}"
