"""A turn put together from the pieces of a stream."""

from typing import Literal

import msgspec

from amelia.drivers.arguments import read_arguments
from amelia.drivers.base import Message, Part, Text, ToolCall, Turn, Usage


class _Call(msgspec.Struct):
    id: str
    name: str
    pieces: list[str]


class _Prose(msgspec.Struct):
    pieces: list[str]


class Assembly:
    """Blocks are kept in the order in which they began, under the service's own index for them."""

    def __init__(self) -> None:
        self._blocks: dict[int, _Call | _Prose] = {}
        self.usage = Usage()
        self.stop: Literal["end", "max_tokens"] | None = None

    def text(self, index: int, piece: str) -> None:
        block = self._blocks.setdefault(index, _Prose(pieces=[]))
        block.pieces.append(piece)

    def call(self, index: int, call_id: str, name: str) -> None:
        self._blocks[index] = _Call(id=call_id, name=name, pieces=[])

    def arguments(self, index: int, piece: str) -> None:
        block = self._blocks.get(index)
        if isinstance(block, _Call):
            block.pieces.append(piece)

    def turn(self) -> Turn:
        parts = tuple(part for part in map(_part, self._blocks.values()) if part != Text(""))
        called = any(isinstance(part, ToolCall) for part in parts)
        finished: Literal["end", "tool_calls"] = "tool_calls" if called else "end"
        stop = "max_tokens" if self.stop == "max_tokens" else finished
        return Turn(message=Message("assistant", parts), usage=self.usage, stop=stop)


def _part(block: _Call | _Prose) -> Part:
    text = "".join(block.pieces)
    if isinstance(block, _Prose):
        return Text(text)
    return ToolCall(block.id, block.name, read_arguments(text))
