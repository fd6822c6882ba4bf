"""Which turn of which file answers a request."""

from collections.abc import Sequence
from fnmatch import fnmatchcase

import msgspec

from amelia.drivers.base import Label
from amelia.errors import Refused
from amelia_replay.asked import Asked
from amelia_replay.conversation import Section, Turn
from amelia_replay.reading import File, described


class Line(msgspec.Struct, frozen=True, kw_only=True):
    """A turn found, with the delays that count for it."""

    turn: Turn
    latency: float
    chunk_delay: float


class Script:
    """All files together. The most exact section wins: its issue spelt out before a glob, then its task, then the
    nearest round; of equals the first."""

    def __init__(self, files: Sequence[File]) -> None:
        self._parts = [
            (file, number, section) for file in files for number, section in enumerate(file.conversation.conversations)
        ]
        self._names = ", ".join(file.name for file in files)

    def find(self, asked: Asked) -> Line:
        """Raises ``Refused`` naming file, section and turn when there is no answer that fits."""
        file, number, section = self._section(asked.label)
        label = asked.label or Label(workflow_id="", issue="", agent=section.agent, round=section.round)
        if asked.turn > len(section.turns):
            raise Refused(
                f"{file.name} has no answer for {_whose(label)}, turn {asked.turn} (it has {len(section.turns)})"
            )
        turn = section.turns[asked.turn - 1]
        line = file.line("conversations", number, "turns", asked.turn - 1)
        _check_tools(f"{file.name}, line {line}: {_whose(label)}, turn {asked.turn}", turn, asked)
        defaults = file.conversation
        return Line(
            turn=turn,
            latency=defaults.latency if turn.latency is None else turn.latency,
            chunk_delay=defaults.chunk_delay if turn.chunk_delay is None else turn.chunk_delay,
        )

    def _section(self, label: Label | None) -> tuple[File, int, Section]:
        if label is None:
            if len(self._parts) == 1:
                return self._parts[0]
            raise Refused(
                f"the request carries no label and {self._names} has {len(self._parts)} conversations; send one such"
                " as 'workflow=w1&agent=architect&task=&round=1&issue=x' in metadata.user_id (Anthropic), user or"
                " X-Client-Request-Id (OpenAI) or requestMetadata.amelia (Bedrock)"
            )
        fitting = [part for part in self._parts if _fits(part[0], part[2], label)]
        if not fitting:
            there = "; ".join(_offered(file, section) for file, _, section in self._parts)
            raise Refused(
                f"{self._names} has no conversation for {_whose(label)}, issue {label.issue or '(none)'},"
                f" only for {there}"
            )
        return max(fitting, key=lambda part: _exactness(part[0], part[2]))


def _fits(file: File, section: Section, label: Label) -> bool:
    in_round = section.round == label.round or (section.repeat and section.round < label.round)
    return (
        in_round
        and section.agent == label.agent
        and fnmatchcase(label.task, section.task)
        and fnmatchcase(label.issue, _issue(file, section))
    )


def _offered(file: File, section: Section) -> str:
    issue = _issue(file, section)
    return described(section) if issue == "*" or section.issue is not None else f"{described(section)}, issue {issue}"


def _issue(file: File, section: Section) -> str:
    return file.conversation.issue if section.issue is None else section.issue


def _exactness(file: File, section: Section) -> tuple[int, int, int]:
    return _weight(_issue(file, section)), _weight(section.task), section.round


def _weight(glob: str) -> int:
    """A glob weighs as much as it spells out; a plain text more than any glob."""
    letters = sum(letter not in "*?[]" for letter in glob)
    return letters if len(glob) > letters else 1_000_000


def _whose(label: Label) -> str:
    return f"{label.agent}{f', task {label.task}' if label.task else ''}, round {label.round}"


def _check_tools(where: str, turn: Turn, asked: Asked) -> None:
    called = [tool for tool, _ in turn.calls]
    for tool in called:
        if tool not in asked.tools:
            offered = ", ".join(asked.tools) or "none"
            raise Refused(f"{where} calls {tool}, which the request does not offer (it offers {offered})")
    if asked.must_call and asked.must_call not in called:
        given = ", ".join(called) or "only text"
        raise Refused(f"{where} answers with {given}, but the request wants a call of {asked.must_call}")
