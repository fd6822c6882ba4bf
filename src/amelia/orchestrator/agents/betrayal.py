"""A secret that was entrusted to us, in work that is about to be handed in."""

import asyncio
from collections.abc import Sequence
from pathlib import Path

from ...redaction import Redactor
from ...workspace.tree import Tree

_LARGEST = 4_000_000


async def betrayed(tree: Tree, redactor: Redactor) -> str:
    """What is wrong with the files that differ from the last commit, said to the agent; empty when nothing is."""
    listed = await tree.git("status", "--porcelain", "--no-renames", "--untracked-files=all", "-z")
    names = [entry[3:] for entry in listed.decode("utf-8", "surrogateescape").split("\0") if entry]
    holding = await asyncio.to_thread(_search, tree.root, names, redactor)
    found = [f"{name} holds {kind}" for name, kind in holding if not await _was_there(tree, name, redactor)]
    if not found:
        return ""
    return (
        f"{' and '.join(found)}: a secret that does not belong into a repository. Take it out; whoever runs this "
        "program needs no copy of it"
    )


async def _was_there(tree: Tree, name: str, redactor: Redactor) -> bool:
    """What a repository held before is its owner's business."""
    ended = await tree.git.attempt("cat-file", "blob", f"HEAD:{name}")
    return ended.code == 0 and bool(redactor.betrayed(ended.output))


def _search(root: Path, names: Sequence[str], redactor: Redactor) -> list[tuple[str, str]]:
    """Files and the kind of secret each holds."""
    found = []
    for name in names:
        path = root / name
        try:
            if path.is_symlink() or not path.is_file() or path.stat().st_size > _LARGEST:
                continue
            kind = redactor.betrayed(path.read_bytes())
        except OSError:
            continue
        if kind:
            found.append((name, kind))
    return found
