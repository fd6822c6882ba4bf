"""Worktrees beside the main one, for tasks that are worked at once; and how the commit of one comes onto the branch."""

import asyncio
import contextlib
import shutil
from pathlib import Path

from ..errors import Refused
from .git import Git
from .tree import Tree
from .worktrees import forget

MARKERS = ("<<<<<<< ", ">>>>>>> ")
"""What git begins and ends the two sides of a conflict with."""


async def open_lane(main: Tree, name: str, base: str) -> Tree:
    """A worktree at the commit ``base``, with a home and a branch of its own; what was there under this name is
    replaced. It shares the main one's objects, so that its commits are the main one's too. It is locked: an agent sees
    no worktree but its own, and a ``git worktree prune`` of its own would take the others for gone."""
    folder = main.home.parent / "lanes" / name
    root, home = folder / "tree", folder / "home"
    await asyncio.to_thread(shutil.rmtree, folder, ignore_errors=True)
    home.mkdir(parents=True)
    branch = f"amelia-lane/{name}"
    async with main.opening:
        await asyncio.to_thread(forget, main.git.git_dir, root)
        await main.git(
            "worktree", "add", "--lock", "--quiet", "--force", "--no-track", "-B", branch, "--", str(root), base
        )
    own = (root / ".git").read_text(encoding="utf-8").removeprefix("gitdir:").strip()
    lane = Tree(Git(Path(own), root), root, home, branch, base, name=name)
    lane.opening = main.opening
    return lane


async def close_lane(main: Tree, lane: Tree) -> None:
    """The branch stays until the name is used again: its commits may be asked for."""
    await asyncio.to_thread(shutil.rmtree, lane.home.parent, ignore_errors=True)
    async with main.opening:
        await asyncio.to_thread(forget, main.git.git_dir, lane.root)


async def rebase(lane: Tree, commit: str, onto: str) -> tuple[str, ...]:
    """Brings what ``commit`` changed onto the commit ``onto``; the lane is there then, and begins there.

    Returns the files in which the two contradict each other: the lane's worktree then holds both sides, and nothing is
    committed. Raises ``Refused`` when git cannot do it at all.
    """
    await lane.reset(onto)
    lane.base_commit = onto
    ended = await lane.git.attempt("cherry-pick", "--allow-empty", "--keep-redundant-commits", commit)
    if ended.code == 0:
        return ()
    listed = await lane.git("diff", "--name-only", "--diff-filter=U", "-z", "--no-ext-diff")
    files = tuple(sorted(name for name in listed.decode(errors="replace").split("\0") if name))
    with contextlib.suppress(Refused):
        await lane.git("update-ref", "-d", "CHERRY_PICK_HEAD")
    if not files:
        raise Refused(f"what {commit[:12]} changed does not go onto {onto[:12]}: {ended.last_line}")
    return files


def still_marked(lane: Tree, files: tuple[str, ...]) -> tuple[str, ...]:
    """Those of the files in which a conflict's markers are left."""
    return tuple(name for name in files if _is_marked(lane.root / name))


def _is_marked(path: Path) -> bool:
    try:
        if path.is_symlink():
            return False
        lines = path.read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        return False
    return any(line.startswith(MARKERS) for line in lines)
