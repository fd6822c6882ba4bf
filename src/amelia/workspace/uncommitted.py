"""What a person's checkout holds and no commit does, as a commit in a repository of our own."""

import asyncio
import contextlib
import os
import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path

from ..errors import Refused
from .git import Git
from .staging import stage
from .tree import Tree
from .trusted import trust, trusted_for

BRANCH = "amelia/uncommitted"


async def open_uncommitted(checkout: Path, folder: Path, *, base: str = "", paths: Sequence[str] = ()) -> Tree | None:
    """A worktree in ``folder`` at one commit: what ``checkout`` (its top folder) holds now, ignored files apart, on top
    of its newest commit, or of where it left ``base``. Of ``paths``, relative to it, when some are given. None when
    nothing has changed.

    The checkout, its index and its repository stay as they are; ours borrows its objects. Raises ``Refused`` when there
    is no commit, no ``base`` or nothing at a path.
    """
    theirs = Git(_git_dir(checkout), checkout)
    head = await _commit(theirs, "HEAD")
    start = await _left(theirs, base, head) if base else head
    store = folder / "repository.git"
    await _borrow(theirs, store)
    index = {"GIT_INDEX_FILE": str(folder / "index")}
    await _their_index(theirs, store, folder / "index", head)
    ours = Git(store, checkout)
    await stage(ours, index | _their_ignores())
    content = await _line(ours, "write-tree", env=index)
    if paths:
        await ours("read-tree", start, env=index)
        await _only(ours, content, paths, index)
        content = await _line(ours, "write-tree", env=index)
    if content == await ours.line("rev-parse", f"{start}^{{tree}}"):
        return None
    return await _worktree(store, folder, start, content)


async def _worktree(store: Path, folder: Path, start: str, content: str) -> Tree:
    root, home = folder / "tree", folder / "home"
    home.mkdir()
    bare = Git(store)
    commit = await bare.line("commit-tree", "-p", start, "-m", "what is not committed", content)
    await bare("worktree", "add", "--quiet", "--no-track", "-B", BRANCH, "--", str(root), commit)
    return Tree(Git(store / "worktrees" / root.name, root), root, home, BRANCH, start)


async def _borrow(theirs: Git, store: Path) -> None:
    """A repository without history of its own: all that the other one has, it has."""
    kind = await theirs.line("rev-parse", "--show-object-format")
    await asyncio.to_thread(store.mkdir, parents=True)
    await Git(store)("init", "--quiet", "--bare", "--template=", f"--object-format={kind}")
    await asyncio.to_thread(_share, _shared_dir(theirs.git_dir), store)
    await asyncio.to_thread(trust, store)


def _share(common: Path, store: Path) -> None:
    for folder in ("objects/info", "info"):
        (store / folder).mkdir(exist_ok=True)
    (store / "objects" / "info" / "alternates").write_text(f"{common / 'objects'}\n")
    for name in ("shallow", "info/exclude"):
        with contextlib.suppress(FileNotFoundError):
            shutil.copyfile(common / name, store / name)


async def _their_index(theirs: Git, store: Path, index: Path, head: str) -> None:
    """What git knows of the checkout's files, so that not all of them are read again; and which of them a sparse
    checkout leaves out."""
    with contextlib.suppress(FileNotFoundError):
        await asyncio.to_thread(shutil.copy2, theirs.git_dir / "index", index)
    env = {"GIT_INDEX_FILE": str(index)}
    if (await Git(store, theirs.work_tree).attempt("ls-files", "--stage", env=env)).code:
        await asyncio.to_thread(index.unlink, missing_ok=True)
        await Git(store)("read-tree", head, env=env)


async def _only(ours: Git, content: str, paths: Sequence[str], index: Mapping[str, str]) -> None:
    """Leaves of ``content`` in the index what lies at the paths; all else stays as it is there."""
    env = {**index, "GIT_LITERAL_PATHSPECS": "1"}
    for path in paths:
        done = await ours.attempt("restore", "--staged", f"--source={content}", "--", path, env=env)
        if done.code:
            raise Refused(f"there is nothing that git knows at {path}; name files or folders of this repository")


async def _left(theirs: Git, base: str, head: str) -> str:
    """Where the checkout's branch left ``base``, or ``base`` when they have nothing in common."""
    commit = await _commit(theirs, base)
    shared = await theirs.attempt("merge-base", commit, head)
    return shared.output.decode().strip() if shared.code == 0 else commit


async def _commit(theirs: Git, name: str) -> str:
    found = await theirs.attempt("rev-parse", "--verify", "--quiet", "--end-of-options", f"{name}^{{commit}}")
    if found.code:
        way_out = "commit something there first" if name == "HEAD" else "name a branch, a tag or a commit"
        raise Refused(f"there is no commit {name} in {theirs.work_tree}; {way_out}")
    return found.output.decode().strip()


def _git_dir(checkout: Path) -> Path:
    """Of a worktree or a submodule it lies elsewhere."""
    dot = checkout / ".git"
    try:
        named = dot.read_text(encoding="utf-8") if dot.is_file() else ""
    except (OSError, UnicodeDecodeError):
        named = ""
    found = checkout / named.removeprefix("gitdir:").strip() if named else dot
    if not found.is_dir():
        raise Refused(f"{checkout} is no checkout of a git repository; run this in one")
    if (face := trusted_for(found.resolve())) is not None:
        raise Refused(f"{face} would be read as the repository's configuration; remove it if you trust the rest")
    return found.resolve()


def _shared_dir(git_dir: Path) -> Path:
    named = git_dir / "commondir"
    return (git_dir / named.read_text(encoding="utf-8").strip()).resolve() if named.is_file() else git_dir


def _their_ignores() -> dict[str, str]:
    """The person's own list of files that git never sees, where git looks for it unless it is told otherwise."""
    home = Path(os.environ.get("HOME", "/nonexistent"))
    file = Path(os.environ.get("XDG_CONFIG_HOME") or home / ".config") / "git" / "ignore"
    return {"GIT_CONFIG_COUNT": "1", "GIT_CONFIG_KEY_0": "core.excludesFile", "GIT_CONFIG_VALUE_0": str(file)}


async def _line(git: Git, *arguments: str, env: Mapping[str, str]) -> str:
    return (await git(*arguments, env=env)).decode().strip()
