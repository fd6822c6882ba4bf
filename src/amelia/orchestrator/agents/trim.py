"""Keeps a conversation within what a model can read: old output gives way, then all that is old becomes a summary."""

from collections.abc import Sequence

import msgspec

from ...drivers.base import Message, Text, ToolCall, ToolResult
from ...tools.toolbox import shorten
from .transcript import Summary, Transcript

_GONE = "(an older result, left out to save room; call the tool again if you need it)"
_LEAST = 1_000
"""Characters that a result keeps however little room there is."""


def shown(said: Transcript, most: int) -> tuple[Message, ...]:
    """What the model is sent, in about ``most`` characters: the beginning, the newest summary in place of what it
    covers, and the rest with old output left out."""
    opening, *rest = said.messages
    if said.summaries:
        newest = said.summaries[-1]
        opening = Message(opening.role, (*opening.parts, Text(_instead(said, newest))))
        rest = list(said.messages[newest.upto :])
    return trimmed((_short(opening, most), *rest), most)


def trimmed(messages: tuple[Message, ...], most: int) -> tuple[Message, ...]:
    """The oldest tool results give way first, the newest message's are only shortened; calls and words stay.

    What has to go is rounded up to a quarter of ``most``, so that the beginning stays the same for many turns and a
    service's prompt cache keeps its worth.
    """
    over = sum(map(size, messages)) - most
    if over <= 0:
        return messages
    step = max(1, most // 4)
    room = -(-over // step) * step
    kept: list[Message] = []
    for message in messages[:-1]:
        if room > 0 and any(_long(part) for part in message.parts):
            parts = tuple(
                ToolResult(part.call_id, _GONE, part.is_error) if isinstance(part, ToolResult) and _long(part) else part
                for part in message.parts
            )
            less = Message(message.role, parts)
            room -= size(message) - size(less)
            message = less
        kept.append(message)
    return (*kept, _short(messages[-1], max(step, most - sum(map(size, kept)))))


def covered(messages: Sequence[Message], most: int) -> int:
    """How many messages a summary stands for: all but the newest turns that fit into a quarter of ``most``, and never
    the newest of all. What is left begins with the model's words."""
    upto, room = len(messages), most // 4
    for number in range(len(messages) - 1, 0, -1):
        if messages[number].role != "assistant":
            continue
        taken = sum(map(size, messages[number:]))
        if taken > room and upto < len(messages):
            break
        upto = number
        if taken > room:
            break
    return upto


def _short(message: Message, most: int) -> Message:
    """Its longest texts lose their middle, so that all of it has about ``most`` characters."""
    if size(message) <= most:
        return message
    each, left = most, len(message.parts)
    for length in sorted(size(Message(message.role, (part,))) for part in message.parts):
        each = max(_LEAST, most // left)
        if length > each:
            break
        most, left = most - length, left - 1
    return Message(message.role, tuple(_cut(part, each) for part in message.parts))


def _cut(part: Text | ToolCall | ToolResult, most: int) -> Text | ToolCall | ToolResult:
    match part:
        case Text():
            return Text(shorten(part.text, most))
        case ToolResult():
            return msgspec.structs.replace(part, content=shorten(part.content, most))
        case ToolCall():
            return part


def _instead(said: Transcript, summary: Summary) -> str:
    people = "".join(f"\n- {note.by}: {note.text}" for note in said.notes)
    heard = f"\n\nPeople who follow your work said meanwhile:\n{people}" if people else ""
    return (
        f"\n\nYou have worked on this for {summary.turn} turns. What was said in them is left out to save room, but "
        f"for the newest; this is what you wrote down:\n\n<summary>\n{summary.text}\n</summary>{heard}\n\n"
        "Read again whatever you need word for word, and go on."
    )


def _long(part: object) -> bool:
    return isinstance(part, ToolResult) and len(part.content) > 2 * len(_GONE)


def size(message: Message) -> int:
    """In characters."""
    return sum(
        len(part.text)
        if isinstance(part, Text)
        else len(part.content)
        if isinstance(part, ToolResult)
        else len(repr(part.arguments))
        for part in message.parts
    )
