"""A secret that was entrusted to us, in work that is about to be handed in."""

import asyncio
import contextlib
import shutil
import tempfile
from collections.abc import AsyncIterator, Sequence
from pathlib import Path

import msgspec

from ...redaction import Redactor
from ...workspace.git import Git
from ...workspace.staging import stage
from ...workspace.tree import Tree

_LARGEST = 4_000_000
_AT_ONCE = 16_000_000
"""Bytes of files that are looked through together."""
_LINK = "160000"
"""The mode of a submodule, which is a commit and no file."""


class Change(msgspec.Struct, frozen=True, kw_only=True):
    """The objects a file was and is; ``before`` is empty for a file that is new."""

    name: str
    before: str
    now: str
    size: int = 0


async def betrayed(tree: Tree, redactor: Redactor, base: str) -> str:
    """What is wrong with the files that ``tree.commit(onto=base)`` would change, said to the agent; empty when nothing
    is. What the agent has committed itself is part of that."""
    found = []
    async for change, data in _contents(tree.git, await _changes(tree, base)):
        if await asyncio.to_thread(redactor.betrayed, data):
            before = await tree.git("cat-file", "blob", change.before) if change.before else b""
            if kind := await asyncio.to_thread(redactor.betrayed, data, before):
                found.append(f"{change.name} holds {kind}")
    if not found:
        return ""
    return (
        f"{' and '.join(found)}: a secret that does not belong into a repository. Take it out; whoever runs this "
        "program needs no copy of it"
    )


async def _changes(tree: Tree, base: str) -> list[Change]:
    """What differs between ``base`` and the worktree, as it would be committed: from an index of its own."""
    with tempfile.TemporaryDirectory(dir=tree.home.parent) as folder:
        index = {"GIT_INDEX_FILE": str(Path(folder) / "index")}
        with contextlib.suppress(FileNotFoundError):
            shutil.copy2(tree.git.git_dir / "index", index["GIT_INDEX_FILE"])
        await stage(tree.git, index)
        now = (await tree.git("write-tree", env=index)).decode().strip()
    listed = await tree.git("diff-tree", "-r", "-z", "--raw", "--no-renames", "--no-abbrev", base, now)
    fields = listed.decode("utf-8", "surrogateescape").split("\0")
    pairs = zip(fields[::2], fields[1::2], strict=False)
    return [change for said, name in pairs if (change := _change(said, name)) is not None]


def _change(said: str, name: str) -> Change | None:
    """From ``:MODE MODE OBJECT OBJECT STATUS``; None when no file is there afterwards."""
    mode_before, mode, before, now, _ = said.removeprefix(":").split(" ")
    if mode == _LINK or not now.strip("0"):
        return None
    return Change(name=name, before="" if mode_before == _LINK or not before.strip("0") else before, now=now)


async def _contents(git: Git, changes: Sequence[Change]) -> AsyncIterator[tuple[Change, bytes]]:
    """Every changed file that is not too large, with what is in it."""
    sizes = (await _batch(git, "--batch-check=%(objectsize)", changes)).split()
    some: list[Change] = []
    total = 0
    for change, size in zip(changes, map(int, sizes), strict=True):
        if size > _LARGEST:
            continue
        if total + size > _AT_ONCE:
            for pair in await _read(git, some):
                yield pair
            some, total = [], 0
        some.append(msgspec.structs.replace(change, size=size))
        total += size
    for pair in await _read(git, some):
        yield pair


async def _read(git: Git, changes: Sequence[Change]) -> list[tuple[Change, bytes]]:
    data, place, found = await _batch(git, "--batch", changes), 0, []
    for change in changes:
        place = data.index(b"\n", place) + 1
        found.append((change, data[place : place + change.size]))
        place += change.size + 1
    return found


async def _batch(git: Git, how: str, changes: Sequence[Change]) -> bytes:
    asked = "".join(f"{change.now}\n" for change in changes).encode()
    return await git("cat-file", how, stdin=asked) if changes else b""
