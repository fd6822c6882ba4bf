"""The conversations of a workflow, read from its transcripts, as the sections of a conversation file."""

from collections.abc import Iterable, Sequence
from typing import Any, TypeGuard

import msgspec

from amelia.drivers.arguments import malformed
from amelia.drivers.base import Part, Text, ToolCall, ToolResult
from amelia.errors import Malformed
from amelia.orchestrator.agents.lines import Answered, Asked, Closed, Line, Opened, Summarised
from amelia.orchestrator.agents.transcript import words

SUMMARY = "summary"
"""The agent of the conversations in which summaries are written."""

_line = msgspec.json.Decoder(Line)


class Spoken(msgspec.Struct, frozen=True, kw_only=True):
    """One answer of the model: ``after`` is what it had been told, ``say`` and ``calls`` what it said."""

    after: tuple[str, ...]
    say: str
    calls: tuple[ToolCall, ...]
    cut: bool = False
    usage: dict[str, int] = {}


class Held(msgspec.Struct, frozen=True, kw_only=True):
    """One conversation. ``ended`` is what its last turn was answered with, or why it broke off."""

    agent: str
    task: str
    round: int
    system: str
    tools: tuple[str, ...]
    turns: tuple[Spoken, ...]
    summaries: tuple[str, ...]
    ended: tuple[str, ...]
    model: str = ""

    @property
    def name(self) -> str:
        return "-".join(filter(None, (self.agent, self.task, str(self.round))))


def held(name: str, data: bytes) -> Held:
    """Raises ``Malformed`` for what is no transcript of this version."""
    try:
        opened, *between, closed = [_line.decode(line) for line in data.splitlines()]
    except (msgspec.DecodeError, ValueError) as error:
        raise Malformed(f"{name} is no transcript that this version can read: {error}") from error
    if not isinstance(opened, Opened) or not isinstance(closed, Closed):
        raise Malformed(f"{name} is no transcript: it does not begin or end as one")
    notes = frozenset(words(note).text for note in closed.notes)
    asked = {line.turn: _heard(line.parts, notes) for line in between if isinstance(line, Asked)}
    answered = [line for line in between if isinstance(line, Answered)]
    broken = (closed.cause,) if closed.cause else ()
    return Held(
        agent=opened.agent,
        task=opened.task,
        round=opened.round,
        system=opened.system,
        tools=tuple(tool.name for tool in opened.tools),
        turns=tuple(_spoken(line, asked.get(line.turn, ())) for line in answered),
        summaries=tuple(line.text for line in between if isinstance(line, Summarised)),
        ended=(*asked.get(len(answered) + 1, ()), *broken),
        model=next((line.model for line in answered if line.model), ""),
    )


def _heard(parts: Iterable[Part], notes: frozenset[str]) -> tuple[str, ...]:
    """Without what people said meanwhile: nobody will say it again."""
    said = [part.content if isinstance(part, ToolResult) else part.text for part in parts if _is_told(part)]
    return tuple(text for text in said if text not in notes)


def _is_told(part: Part) -> TypeGuard[Text | ToolResult]:
    return not isinstance(part, ToolCall)


def _spoken(line: Answered, after: tuple[str, ...]) -> Spoken:
    counted = {name: count for name, count in msgspec.structs.asdict(line.usage).items() if count}
    return Spoken(
        after=after,
        say="".join(part.text for part in line.parts if isinstance(part, Text)),
        calls=tuple(part for part in line.parts if isinstance(part, ToolCall)),
        cut=line.stop == "max_tokens",
        usage=counted,
    )


def sections(held: Held) -> list[dict[str, Any]]:
    """Its own, and that of the summaries its model wrote."""
    whose = {"agent": held.agent, "task": held.task or "*", "round": held.round}
    if held.agent == "reviewer" and not held.task:
        whose = {"agent": held.agent, "round": held.round}
    made = [{**whose, "turns": [_turn(turn) for turn in held.turns], "ended": list(held.ended)}]
    if held.summaries:
        task = "-".join(filter(None, (held.agent, held.task)))
        written = [{"say": text} for text in held.summaries]
        made.append({"agent": SUMMARY, "task": task, "round": held.round, "turns": written})
    return [section for section in made if section["turns"]]


def _turn(turn: Spoken) -> dict[str, Any]:
    made: dict[str, Any] = {"after": list(turn.after)}
    if turn.say:
        made["say"] = turn.say
    if turn.calls:
        made["call"] = _calls(turn.calls)
    if turn.cut:
        made["stop"] = "max_tokens"
    if turn.usage:
        made["usage"] = turn.usage
    return made


def _calls(calls: Sequence[ToolCall]) -> dict[str, Any] | list[dict[str, Any]]:
    """A list when one tool is called several times."""
    given: list[dict[str, Any]] = [{call.name: _arguments(call)} for call in calls]
    names = {call.name for call in calls}
    return {call.name: _arguments(call) for call in calls} if len(names) == len(calls) else given


def _arguments(call: ToolCall) -> object:
    text = malformed(call.arguments)
    return call.arguments if text is None else text
