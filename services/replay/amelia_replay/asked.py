"""What the three protocols ask, said in one way."""

from collections.abc import Sequence
from typing import Any

import msgspec

from amelia.drivers.base import Label


class Asked(msgspec.Struct, frozen=True, kw_only=True):
    """``turn`` counts from 1: one more than the assistant's messages so far, or what the label says. ``size`` is in
    characters."""

    label: Label | None
    model: str
    turn: int
    tools: tuple[str, ...]
    must_call: str | None
    stream: bool
    size: int
    wants_usage: bool = True


def as_labelled(asked: Asked) -> Asked:
    """With the turn that its label names, if it does: the messages of a conversation that was summarised are fewer. The
    label is then the same for all turns."""
    label = asked.label
    if label is None or not label.turn:
        return asked
    return msgspec.structs.replace(asked, turn=label.turn, label=msgspec.structs.replace(label, turn=0))


def label_in(*texts: Any) -> Label | None:
    """The first text that is a label."""
    for text in filter(None, texts):
        try:
            return Label.decode(str(text))
        except ValueError:
            continue
    return None


def check_results(messages: Sequence[tuple[Sequence[str], Sequence[str]]]) -> None:
    """For each message the ids it calls and the ids it has results of. The services refuse a call that gets no
    result before the conversation goes on, and a result that nobody asked for; so does this. Raises ``ValueError``."""
    waiting: set[str] = set()
    for calls, results in messages:
        strangers = set(results) - waiting
        if strangers:
            raise ValueError(f"there is a result for {', '.join(sorted(strangers))}, which was not called just before")
        if waiting and not results:
            break
        waiting -= set(results)
        waiting |= set(calls)
    if waiting:
        raise ValueError(f"the call {', '.join(sorted(waiting))} has no result in what follows it")


def next_turn(messages: Sequence[Any]) -> int:
    return 1 + sum(1 for message in messages if message["role"] == "assistant")
