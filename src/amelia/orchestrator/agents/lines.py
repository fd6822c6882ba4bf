"""A conversation as people and programs read it afterwards: every request and every answer, as JSON Lines."""

from collections.abc import Iterator, Sequence
from typing import Literal

import msgspec

from ...contract.workflow import Note
from ...drivers.base import Label, Part, Tool, Usage
from .transcript import Transcript


class Opened(msgspec.Struct, frozen=True, kw_only=True, tag="conversation"):
    """The first line: whose conversation it is, and what goes with every request of it."""

    workflow_id: str
    issue: str
    agent: str
    task: str
    round: int
    system: str
    tools: tuple[Tool, ...]


class Asked(msgspec.Struct, frozen=True, kw_only=True, tag="request"):
    """What the request ``turn`` (from 1) brings that the one before it did not."""

    turn: int
    parts: tuple[Part, ...]


class Answered(msgspec.Struct, frozen=True, kw_only=True, tag="answer", omit_defaults=True):
    turn: int
    parts: tuple[Part, ...]
    model: str = ""
    usage: Usage = Usage()
    stop: str = ""


class Summarised(msgspec.Struct, frozen=True, kw_only=True, tag="summary"):
    """Written by the model after ``turn``; from then on it is sent in place of what it covers."""

    turn: int
    text: str


class Closed(msgspec.Struct, frozen=True, kw_only=True, tag="end", omit_defaults=True):
    """The last line. ``answer`` was accepted, or ``cause`` says why none was; ``notes`` were read."""

    outcome: Literal["accepted", "failed"]
    cause: str = ""
    answer: msgspec.Raw = msgspec.Raw(b"null")
    notes: tuple[Note, ...] = ()


Line = Opened | Asked | Answered | Summarised | Closed


def lines(label: Label, system: str, tools: Sequence[Tool], said: Transcript) -> bytes:
    opened = Opened(
        workflow_id=label.workflow_id,
        issue=label.issue,
        agent=label.agent,
        task=label.task,
        round=label.round,
        system=system,
        tools=tuple(tools),
    )
    closed = Closed(
        outcome="accepted" if said.answer else "failed",
        cause=said.cause,
        answer=msgspec.Raw(said.answer.encode() or b"null"),
        notes=said.notes,
    )
    return b"".join(msgspec.json.encode(line) + b"\n" for line in (opened, *_turns(said), closed))


def _turns(said: Transcript) -> Iterator[Asked | Answered | Summarised]:
    turn = 1
    for message in said.messages:
        if message.role == "user":
            yield Asked(turn=turn, parts=message.parts)
            continue
        heard = said.answers[turn - 1] if turn <= len(said.answers) else None
        if heard is None:
            yield Answered(turn=turn, parts=message.parts)
        else:
            yield Answered(turn=turn, parts=message.parts, model=heard.model, usage=heard.usage, stop=heard.stop)
        yield from (Summarised(turn=turn, text=one.text) for one in said.summaries if one.turn == turn)
        turn += 1
