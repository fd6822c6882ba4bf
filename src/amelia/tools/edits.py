"""Changing pieces of files by exact replacement, one piece or several at once."""

import asyncio
import difflib
from pathlib import Path
from typing import Annotated

import msgspec
from msgspec import Meta

from ..workspace.tree import Tree
from .paths import ToolError, load, save

MOST_EDITS = 100
_OLD = "the exact text to replace, with its indentation"
_ALL = "replace every occurrence; without it the text must occur once"


class EditFile(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    path: str
    old: Annotated[str, Meta(description=_OLD)]
    new: str
    replace_all: Annotated[bool, Meta(description=_ALL)] = False


class MultiEdit(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    edits: Annotated[
        tuple[EditFile, ...],
        Meta(min_length=1, max_length=MOST_EDITS, description="made in this order, each on what the ones before left"),
    ]


async def edit_file(tree: Tree, wanted: EditFile) -> str:
    text = await asyncio.to_thread(load, tree.root, wanted.path)
    changed, said = replaced(text, wanted)
    await asyncio.to_thread(save, tree.root, wanted.path, changed)
    return said


async def multi_edit(tree: Tree, wanted: MultiEdit) -> str:
    """All of the edits, or none."""
    return await asyncio.to_thread(_all_or_none, tree.root, wanted.edits)


def _all_or_none(root: Path, edits: tuple[EditFile, ...]) -> str:
    before: dict[str, str] = {}
    after: dict[str, str] = {}
    said: list[str] = []
    for number, edit in enumerate(edits, 1):
        try:
            if edit.path not in before:
                before[edit.path] = after[edit.path] = load(root, edit.path)
            after[edit.path], how = replaced(after[edit.path], edit)
        except ToolError as error:
            raise ToolError(f"nothing was changed, because of edit {number} of {len(edits)}: {error}") from error
        said.append(how)
    _save_all(root, before, after)
    return "\n".join(said)


def _save_all(root: Path, before: dict[str, str], after: dict[str, str]) -> None:
    saved: list[str] = []
    try:
        for path, text in after.items():
            saved.append(path)
            save(root, path, text)
    except (ToolError, OSError):
        for path in saved:
            save(root, path, before[path])
        raise


def replaced(text: str, edit: EditFile) -> tuple[str, str]:
    """The text after the edit, and what is to be said of it. Raises ``ToolError`` with what would help."""
    if not edit.old:
        raise ToolError("the text to replace is empty; use write_file for a new file")
    if edit.old == edit.new:
        raise ToolError("the old and the new text are the same; nothing would change")
    old, new = _with_the_ends_of(text, edit.old, edit.new)
    count = text.count(old)
    if count == 0:
        raise ToolError(f"the text does not occur in {edit.path}{_nearest(text, edit.old)}")
    if count > 1 and not edit.replace_all:
        places = ", ".join(map(str, _lines_of(text, old)))
        raise ToolError(
            f"the text occurs {count} times in {edit.path}, at line {places}; include more lines around it, or say "
            "replace_all"
        )
    line = _lines_of(text, old)[0]
    where = f"changed {edit.path} at line {line}"
    return text.replace(old, new), where if count == 1 else f"{where} and {count - 1} more places"


def _with_the_ends_of(text: str, old: str, new: str) -> tuple[str, str]:
    """In a file whose lines end with CR LF, as if it had been written so."""
    if old in text or "\r\n" not in text or "\r" in old:
        return old, new
    return old.replace("\n", "\r\n"), new.replace("\r\n", "\n").replace("\n", "\r\n")


def _lines_of(text: str, old: str) -> list[int]:
    """Of the first ten occurrences."""
    found, start = list[int](), 0
    while len(found) < 10 and (at := text.find(old, start)) >= 0:
        found.append(text.count("\n", 0, at) + 1)
        start = at + len(old)
    return found


def _nearest(text: str, old: str) -> str:
    """Where the text would be if it were not for a slip: in spacing, or in its first line."""
    lines, wanted = text.splitlines()[:20_000], [line.strip() for line in old.strip().splitlines()]
    stripped = [line.strip() for line in lines]
    for at in range(len(lines) - len(wanted) + 1):
        if wanted and stripped[at : at + len(wanted)] == wanted:
            found = "\n".join(lines[at : at + len(wanted)])
            return f"; but for its spacing it is at line {at + 1}, where the file has:\n{found}"
    first = next((line for line in old.splitlines() if line.strip()), "")
    close = difflib.get_close_matches(first, lines[:5_000], n=1, cutoff=0.6)
    return f"; the nearest line is {lines.index(close[0]) + 1}: {close[0]!r}" if close else "; read the file first"
