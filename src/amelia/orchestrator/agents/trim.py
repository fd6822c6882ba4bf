"""Keeps a long conversation within what a model can read."""

from ...drivers.base import Message, Text, ToolResult

MOST_CHARACTERS = 400_000
"""About 100,000 tokens, half of what the smallest current context takes."""
_GONE = "(an older result, left out to save room; call the tool again if you need it)"


def trimmed(messages: tuple[Message, ...], most: int = MOST_CHARACTERS) -> tuple[Message, ...]:
    """The oldest tool results give way first; calls and words stay.

    What has to go is rounded up to a quarter of ``most``, so that the beginning stays the same for many turns and a
    service's prompt cache keeps its worth.
    """
    over = sum(size(message) for message in messages) - most
    if over <= 0:
        return messages
    step = most // 4
    room = -(-over // step) * step
    kept: list[Message] = []
    for message in messages:
        if room > 0 and any(_long(part) for part in message.parts):
            room -= size(message)
            parts = tuple(ToolResult(p.call_id, _GONE, p.is_error) if _long(p) else p for p in message.parts)  # type: ignore[union-attr]
            message = Message(message.role, parts)
        kept.append(message)
    return tuple(kept)


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
