"""Changing files by a unified diff, through our own git, which runs nothing that came with the repository."""

import re
from pathlib import Path
from typing import Annotated

import msgspec
from msgspec import Meta

from ..workspace.spawn import Exit
from ..workspace.tree import Tree
from .paths import ToolError, inside, load

_FAILED = re.compile(r"^error: patch failed: (.+):(\d+)$", re.MULTILINE)
_NAMED = re.compile(r"^(?:---|\+\+\+|rename from|rename to|copy from|copy to) ([^\t\n\r]+)", re.MULTILINE)
_PIECE = re.compile(r"^@@ -(\d+)(?:,\d+)? \+(\d+)(?:,\d+)? @@(.*)$")
AROUND = 4
"""Lines shown before and after the place where a patch did not fit."""


class ApplyPatch(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    patch: Annotated[
        str, Meta(min_length=1, description="a unified diff, as `git diff` writes it, with paths a/FILE and b/FILE")
    ]


def brief(wanted: ApplyPatch) -> str:
    """The files that the patch names."""
    named = (name.strip('"') for name in _NAMED.findall(wanted.patch))
    return ", ".join(dict.fromkeys(re.sub(r"^[ab]/", "", name) for name in named if name != "/dev/null"))


async def apply_patch(tree: Tree, wanted: ApplyPatch) -> str:
    """All of the patch, or nothing of it."""
    patch = _cleaned(wanted.patch)
    names = [name.strip('"') for name in _NAMED.findall(patch)]
    if not names and "diff --git" not in patch:
        raise ToolError("this is no unified diff; begin each file with the lines --- a/FILE and +++ b/FILE")
    prefixed = all(name == "/dev/null" or name.startswith(("a/", "b/")) for name in names)
    level = "-p1" if prefixed or not names else "-p0"
    for name in names:
        if name != "/dev/null":
            inside(tree.root, name[2:] if level == "-p1" and name.startswith(("a/", "b/")) else name)
    how = ("apply", "--whitespace=nowarn", level)
    counted = await _git(tree, patch, *how, "--numstat", "-z")
    if counted.code:
        raise ToolError(f"the patch cannot be read: {_errors(counted)}; nothing was changed")
    ended = await _git(tree, patch, *how)
    if ended.code:
        raise ToolError(f"nothing was changed: {_errors(ended)}{_around(tree.root, ended)}")
    return "\n".join(_changed(counted.output)) or "the patch changes nothing"


async def _git(tree: Tree, patch: str, *arguments: str) -> Exit:
    return await tree.git.attempt(*arguments, "-", stdin=patch.encode(), timeout=60)


def _cleaned(patch: str) -> str:
    """Without the fence that a patch may come in, with the end of line that git wants, and its pieces counted anew:
    models count badly."""
    lines = patch.strip("\n").split("\n")
    if len(lines) > 2 and lines[0].startswith("```") and lines[-1].strip() == "```":
        lines = lines[1:-1]
    cleaned, at = list[str](), 0
    while at < len(lines):
        begins = _PIECE.match(lines[at])
        end = _end_of_piece(lines, at + 1) if begins else at + 1
        cleaned += _counted(begins, lines[at + 1 : end]) if begins else lines[at:end]
        at = end
    return "\n".join(cleaned) + "\n"


def _end_of_piece(lines: list[str], at: int) -> int:
    while at < len(lines):
        line, after = lines[at], lines[at + 1] if at + 1 < len(lines) else ""
        if line.startswith(("@@ ", "diff --git ")) or (line.startswith("--- ") and after.startswith("+++ ")):
            break
        at += 1
    return at


def _counted(begins: re.Match[str], body: list[str]) -> list[str]:
    """An empty line is one of context that has lost its space, but for those after the last."""
    while body and not body[-1].strip():
        body = body[:-1]
    body = [line or " " for line in body]
    old = sum(line[0] in " -" for line in body)
    new = sum(line[0] in " +" for line in body)
    return [f"@@ -{begins[1]},{old} +{begins[2]},{new} @@{begins[3]}", *body]


def _errors(ended: Exit) -> str:
    lines = [line.removeprefix("error: ").strip() for line in ended.errors.decode(errors="replace").splitlines()]
    return "; ".join(dict.fromkeys(line for line in lines if line))[:1_000] or ended.last_line


def _around(root: Path, ended: Exit) -> str:
    """What the file has where the first piece did not fit."""
    found = _FAILED.search(ended.errors.decode(errors="replace"))
    if found is None:
        return ""
    name, line = found[1], int(found[2])
    try:
        lines = load(root, name).splitlines()
    except ToolError:
        return ""
    first = max(0, line - 1 - AROUND)
    shown = "\n".join(f"{first + i + 1}: {text}" for i, text in enumerate(lines[first : line + AROUND]))
    return f"\n{name} has there:\n{shown}" if shown else f"\n{name} has {len(lines)} lines"


def _changed(numstat: bytes) -> list[str]:
    """From ``ADDED\\tREMOVED\\tPATH\\0``."""
    fields = (entry.split("\t", 2) for entry in numstat.decode(errors="replace").split("\0") if entry)
    return [f"changed {name} (+{added} -{removed})" for added, removed, name in fields]
