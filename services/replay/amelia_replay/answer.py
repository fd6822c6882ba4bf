"""One turn of a file cut into the small pieces in which a model would send it. Always the same pieces."""

import re
from typing import Literal

import msgspec

from amelia.drivers.base import JsonObject, Usage
from amelia_replay.asked import Asked
from amelia_replay.conversation import Turn

_WORD = re.compile(r"\s*\S{1,24}|\s+")
_CHARACTERS_PER_TOKEN = 4


class Prose(msgspec.Struct, frozen=True, kw_only=True):
    pieces: tuple[str, ...]


class Call(msgspec.Struct, frozen=True, kw_only=True):
    id: str
    tool: str
    arguments: JsonObject | str
    pieces: tuple[str, ...]


class Answer(msgspec.Struct, frozen=True, kw_only=True):
    blocks: tuple[Prose | Call, ...]
    usage: Usage
    stop: Literal["end", "tool_calls", "max_tokens"]

    @property
    def text(self) -> str:
        return "".join("".join(block.pieces) for block in self.blocks if isinstance(block, Prose))

    @property
    def calls(self) -> tuple[Call, ...]:
        return tuple(block for block in self.blocks if isinstance(block, Call))


class Frame(msgspec.Struct, frozen=True, kw_only=True):
    """Bytes to send at once. ``characters`` of the answer are in them; ``closing`` marks the ones after the last."""

    data: bytes
    characters: int = 0
    closing: bool = False


def answer(turn: Turn, asked: Asked) -> Answer:
    """Call ids are made of the turn's and the call's number, so that they are unique in a conversation."""
    prose = (Prose(pieces=pieces(turn.say)),) if turn.say else ()
    calls = tuple(
        Call(id=f"call_{asked.turn}_{number}", tool=tool, arguments=given, pieces=pieces(written(given)))
        for number, (tool, given) in enumerate(turn.calls)
    )
    blocks: tuple[Prose | Call, ...] = (*prose, *calls)
    size = sum(len(piece) for block in blocks for piece in block.pieces)
    return Answer(
        blocks=blocks,
        usage=_usage(turn, asked.size, size),
        stop=turn.stop or ("tool_calls" if calls else "end"),
    )


def pieces(text: str) -> tuple[str, ...]:
    """Groups of three words; of more when the text is long, so that it comes in about 64 pieces."""
    words = _WORD.findall(text)
    group = max(3, len(words) // 64)
    return tuple("".join(words[at : at + group]) for at in range(0, len(words), group))


def written(arguments: JsonObject | str) -> str:
    return arguments if isinstance(arguments, str) else msgspec.json.encode(arguments).decode()


def _usage(turn: Turn, asked: int, answered: int) -> Usage:
    told = turn.usage
    estimated_input = max(1, asked // _CHARACTERS_PER_TOKEN)
    estimated_output = max(1, answered // _CHARACTERS_PER_TOKEN)
    return Usage(
        input_tokens=estimated_input if told.input_tokens is None else told.input_tokens,
        output_tokens=estimated_output if told.output_tokens is None else told.output_tokens,
        cache_read_tokens=told.cache_read_tokens,
        cache_write_tokens=told.cache_write_tokens,
    )
