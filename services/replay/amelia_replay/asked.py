"""What the three protocols ask, said in one way."""

from collections.abc import Sequence
from typing import Any

import msgspec

from amelia.drivers.base import Label


class Asked(msgspec.Struct, frozen=True, kw_only=True):
    """``turn`` counts from 1: one more than the assistant's messages so far. ``size`` is in characters."""

    label: Label | None
    model: str
    turn: int
    tools: tuple[str, ...]
    must_call: str | None
    stream: bool
    size: int
    wants_usage: bool = True


def label_in(*texts: Any) -> Label | None:
    """The first text that is a label."""
    for text in filter(None, texts):
        try:
            return Label.decode(str(text))
        except ValueError:
            continue
    return None


def next_turn(messages: Sequence[Any]) -> int:
    return 1 + sum(1 for message in messages if message["role"] == "assistant")
