"""Reading and changing one file."""

import asyncio
import difflib
from pathlib import Path
from typing import Annotated

import msgspec
from msgspec import Meta

from ..workspace.tree import Tree
from .paths import ToolError, inside

LARGEST_FILE = 2_000_000
MOST_LINES = 1_500


class ReadFile(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    path: str
    first_line: Annotated[int, Meta(ge=1)] = 1
    last_line: Annotated[int, Meta(ge=0, description="0 means to the end")] = 0


class WriteFile(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    path: str
    content: str


class EditFile(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    path: str
    old: Annotated[str, Meta(description="the exact text to replace, with its indentation")]
    new: str


async def read_file(tree: Tree, wanted: ReadFile) -> str:
    text = await asyncio.to_thread(_load, inside(tree.root, wanted.path), wanted.path)
    lines = text.splitlines(keepends=True)
    first, last = wanted.first_line, wanted.last_line or len(lines)
    if lines and first > len(lines):
        raise ToolError(f"{wanted.path} has {len(lines)} lines; there is no line {first}")
    part = lines[first - 1 : last]
    if len(part) > MOST_LINES:
        note = f"… {len(part) - MOST_LINES} more lines; read on from line {first + MOST_LINES}\n"
        part = [*part[:MOST_LINES], note]
    return "".join(part) or "(empty)"


async def write_file(tree: Tree, wanted: WriteFile) -> str:
    path = inside(tree.root, wanted.path)
    await asyncio.to_thread(_save, path, wanted.content)
    return f"wrote {len(wanted.content.encode())} bytes to {wanted.path}"


async def edit_file(tree: Tree, wanted: EditFile) -> str:
    path = inside(tree.root, wanted.path)
    text = await asyncio.to_thread(_load, path, wanted.path)
    if not wanted.old:
        raise ToolError("the text to replace is empty; use write_file for a new file")
    if wanted.old == wanted.new:
        raise ToolError("the old and the new text are the same; nothing would change")
    count = text.count(wanted.old)
    if count == 0:
        raise ToolError(f"the text does not occur in {wanted.path}{_nearest(text, wanted.old)}")
    if count > 1:
        raise ToolError(f"the text occurs {count} times in {wanted.path}; include more lines around it")
    await asyncio.to_thread(_save, path, text.replace(wanted.old, wanted.new))
    return f"changed {wanted.path} at line {text[: text.index(wanted.old)].count(chr(10)) + 1}"


def _load(path: Path, name: str) -> str:
    if path.is_dir():
        raise ToolError(f"{name} is a folder; use list_files")
    if not path.is_file():
        raise ToolError(f"there is no file {name}; use list_files to see what there is")
    if path.stat().st_size > LARGEST_FILE:
        raise ToolError(f"{name} is larger than {LARGEST_FILE} bytes; use search or run_command")
    try:
        with path.open(encoding="utf-8", newline="") as file:
            return file.read()
    except UnicodeDecodeError as error:
        raise ToolError(f"{name} is not a text file in UTF-8") from error


def _save(path: Path, text: str) -> None:
    if path.exists() and not path.is_file():
        raise ToolError(f"{path.name} is a folder or a device; give the path of a file")
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w", encoding="utf-8", newline="") as file:
        file.write(text)


def _nearest(text: str, old: str) -> str:
    """The line most like the first line that was looked for, so that a slip in spacing shows."""
    wanted = next((line for line in old.splitlines() if line.strip()), "")
    lines = text.splitlines()[:5_000]
    found = difflib.get_close_matches(wanted, lines, n=1, cutoff=0.6)
    return f"; the nearest line is {lines.index(found[0]) + 1}: {found[0]!r}" if found else "; read the file first"
