"""Reading and writing one file."""

import asyncio
from typing import Annotated

import msgspec
from msgspec import Meta

from ..workspace.tree import Tree
from .paths import ToolError, load, save

MOST_LINES = 1_500
LONGEST_LINE = 4_000


class ReadFile(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    path: str
    first_line: Annotated[int, Meta(ge=1)] = 1
    last_line: Annotated[int, Meta(ge=0, description="0 means to the end")] = 0


class WriteFile(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    path: str
    content: str


async def read_file(tree: Tree, wanted: ReadFile) -> str:
    text = await asyncio.to_thread(load, tree.root, wanted.path)
    lines = text.splitlines(keepends=True)
    first, last = wanted.first_line, wanted.last_line or len(lines)
    if lines and first > len(lines):
        raise ToolError(f"{wanted.path} has {len(lines)} lines; there is no line {first}")
    part = [_shown(line) for line in lines[first - 1 : last]]
    if len(part) > MOST_LINES:
        note = f"… {len(part) - MOST_LINES} more lines; read on from line {first + MOST_LINES}\n"
        part = [*part[:MOST_LINES], note]
    return "".join(part) or "(empty)"


async def write_file(tree: Tree, wanted: WriteFile) -> str:
    await asyncio.to_thread(save, tree.root, wanted.path, wanted.content)
    return f"wrote {len(wanted.content.encode())} bytes to {wanted.path}"


def _shown(line: str) -> str:
    if len(line) <= LONGEST_LINE:
        return line
    return f"{line[:LONGEST_LINE]}… ({len(line) - LONGEST_LINE} more characters in this line)\n"
