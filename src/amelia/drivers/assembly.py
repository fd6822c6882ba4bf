"""A turn put together from the pieces of a stream."""

from typing import Literal, TypeVar
from uuid import uuid4

import msgspec

from amelia.drivers.arguments import read_arguments
from amelia.drivers.base import Message, Part, Text, ToolCall, Turn, Usage


class _Call(msgspec.Struct):
    id: str
    name: str
    pieces: list[str]


class _Prose(msgspec.Struct):
    pieces: list[str]


B = TypeVar("B", _Call, _Prose)


class Assembly:
    """Blocks are kept in the order in which they began; ``index`` is the service's own name for the one that grows."""

    def __init__(self) -> None:
        self._blocks: list[_Call | _Prose] = []
        self._growing: dict[int, _Call | _Prose] = {}
        self.usage = Usage()
        self.stop: Literal["end", "max_tokens"] | None = None

    def text(self, index: int, piece: str) -> None:
        block = self._growing.get(index)
        if not isinstance(block, _Prose):
            block = self._begin(index, _Prose(pieces=[]))
        block.pieces.append(piece)

    def call(self, index: int, call_id: str, name: str) -> None:
        """Said again of a call that has begun, it changes nothing; another id at the same index begins another call.
        A service that gives no id gets one from us."""
        block = self._growing.get(index)
        if isinstance(block, _Call) and call_id in ("", block.id):
            block.name = block.name or name
        else:
            self._begin(index, _Call(id=call_id or f"call_{uuid4().hex[:16]}", name=name, pieces=[]))

    def arguments(self, index: int, piece: str) -> None:
        block = self._growing.get(index)
        if isinstance(block, _Call):
            block.pieces.append(piece)

    @property
    def whole(self) -> bool:
        """Whether the service has said why the answer ended."""
        return self.stop is not None

    @property
    def characters(self) -> int:
        return sum(len(piece) for block in self._blocks for piece in block.pieces)

    def turn(self, wasted: Usage) -> Turn:
        """``wasted`` is what tries that broke off have cost."""
        parts = tuple(part for part in map(_part, self._blocks) if part != Text(""))
        called = any(isinstance(part, ToolCall) for part in parts)
        finished: Literal["end", "tool_calls"] = "tool_calls" if called else "end"
        stop = "max_tokens" if self.stop == "max_tokens" else finished
        return Turn(message=Message("assistant", parts), usage=self.usage + wasted, stop=stop)

    def _begin(self, index: int, block: B) -> B:
        self._blocks.append(block)
        self._growing[index] = block
        return block


def _part(block: _Call | _Prose) -> Part:
    text = "".join(block.pieces)
    if isinstance(block, _Prose):
        return Text(text)
    return ToolCall(block.id, block.name, read_arguments(text))
