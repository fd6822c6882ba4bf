"""The worktree the Developer works in, and the bundles that carry it to another machine."""

import asyncio
import contextlib
import shutil
import tempfile
from pathlib import Path

import msgspec

from ..domain.neutral import printable
from ..errors import Malformed, Refused
from .address import check_branch
from .clone import Tell, clone, in_the_log
from .git import Git
from .sandbox import sandbox
from .sandbox_view import Place, store_of
from .spawn import Exit
from .staging import stage

_LEFT = (
    *("index.lock", "HEAD.lock", "MERGE_HEAD", "MERGE_MSG", "MERGE_MODE", "AUTO_MERGE", "CHERRY_PICK_HEAD"),
    *("REVERT_HEAD", "BISECT_LOG", "BISECT_START", "sequencer", "rebase-merge", "rebase-apply"),
)
"""What git is in the middle of."""


class Snapshot(msgspec.Struct, frozen=True, kw_only=True):
    """``tree`` names the content of the worktree, untracked files included; ``bundle`` carries it and its history."""

    tree: str
    bundle: bytes


class Tree:
    """``root`` is the worktree on ``branch``, ``home`` a home directory for what runs in it. ``name`` keeps its refs
    apart from those of other worktrees of the repository. ``opening`` is theirs together: while a worktree is made, git
    cannot take in a bundle."""

    def __init__(self, git: Git, root: Path, home: Path, branch: str, base_commit: str, *, name: str = "main") -> None:
        self.git = git
        self.root = root
        self.home = home
        self.branch = branch
        self.base_commit = base_commit
        self.opening = asyncio.Lock()
        self._snapshot = f"amelia/{name}/snapshot"
        self._incoming = f"refs/incoming/{name}"

    async def head(self) -> str:
        return await self.git.line("rev-parse", "HEAD")

    async def content_of(self, commit: str) -> str:
        """The name of the tree a commit holds."""
        return await self.git.line("rev-parse", f"{commit}^{{tree}}")

    async def commit(self, message: str, onto: str) -> str:
        """Everything since ``onto`` as one commit on the branch, whatever the agent did with git meanwhile; "" when
        nothing has changed. Runs no hook and signs nothing."""
        await self._back_on_branch(onto)
        tree = await self._written()
        if tree == await self.content_of(onto):
            return ""
        text = "\n".join(printable(line).rstrip() for line in message.strip().splitlines()) + "\n"
        commit = (await self.git("commit-tree", "-p", onto, "-F", "-", tree, stdin=text.encode())).decode().strip()
        await self.git("update-ref", "HEAD", commit)
        await self.git("read-tree", "--reset", commit)
        return commit

    async def diff(self) -> bytes:
        """Everything since the base, to be read: of a binary file only that it differs."""
        return await self._since()

    async def patch(self) -> bytes:
        """Everything since the base, as ``git apply`` takes it: binary files are whole in it."""
        return await self._since("--binary")

    async def _since(self, *how: str) -> bytes:
        return await self.git("diff", "--no-ext-diff", "--no-textconv", "--no-color", *how, self.base_commit, "HEAD")

    async def bundle(self) -> bytes:
        """``base_commit..branch``. Raises ``Refused`` when the branch adds nothing."""
        return await self._bundle(f"refs/heads/{self.branch}")

    async def snapshot(self, known: str = "") -> Snapshot | None:
        """The worktree as it is, without moving the branch; None when its content is ``known`` (a tree's name)."""
        tree = await self._written()
        if tree == known:
            return None
        commit = await self.git.line("commit-tree", "-p", "HEAD", "-m", "unfinished work", tree)
        await self.git("update-ref", f"refs/{self._snapshot}", commit)
        return Snapshot(tree=tree, bundle=await self._bundle(f"refs/{self._snapshot}"))

    async def _written(self) -> str:
        """The name of the worktree's content as a tree. The index in which the agent works is only copied: a git of its
        own may hold it."""
        with tempfile.TemporaryDirectory(dir=self.home.parent) as folder:
            index = {"GIT_INDEX_FILE": str(Path(folder) / "index")}
            with contextlib.suppress(FileNotFoundError):
                shutil.copy2(self.git.git_dir / "index", index["GIT_INDEX_FILE"])
            await stage(self.git, index)
            return (await self.git("write-tree", env=index)).decode().strip()

    async def reset(self, commit: str) -> None:
        """The branch and the worktree are at ``commit``; untracked files go, ignored ones stay."""
        await self._back_on_branch(commit)
        await self.git("read-tree", "--reset", "-u", commit)
        await self.git("clean", "-ffdq")

    async def restore_commits(self, bundle: bytes, commit: str) -> None:
        """Raises ``Malformed`` when the bundle does not hold ``commit``."""
        await self._unbundle(bundle)
        if (await self.git.attempt("cat-file", "-e", f"{commit}^{{commit}}")).code:
            raise Malformed(f"the bundle of the work does not hold its commit {commit}")
        await self.reset(commit)

    async def restore_snapshot(self, bundle: bytes) -> None:
        """The worktree as it was when the snapshot was taken, on top of the commit the branch is at."""
        await self._unbundle(bundle)
        head = await self.head()
        await self.git("clean", "-ffdq")
        await self.git("read-tree", "--reset", "-u", f"{self._incoming}/{self._snapshot}")
        await self.git("read-tree", "--reset", head)

    async def run(self, command: str, timeout: float, limit: int = 24_000, whole: Path | None = None) -> Exit:
        """A shell command in the worktree, confined: no input, nothing of ours to see, its children end with it.
        ``limit`` and ``whole`` as for ``spawn``."""
        return await sandbox().run(command, self.place, timeout, limit=limit, whole=whole)

    @property
    def place(self) -> Place:
        return Place(root=self.root, store=store_of(self.git.git_dir), home=self.home)

    async def _back_on_branch(self, commit: str) -> None:
        """Whatever a git that was killed, or a merge that was not finished, has left."""
        for name in _LEFT:
            _remove(self.git.git_dir / name)
        await self.git("symbolic-ref", "HEAD", f"refs/heads/{self.branch}")
        await self.git("update-ref", "HEAD", commit)

    async def _bundle(self, ref: str) -> bytes:
        ended = await self.git.attempt("bundle", "create", "--quiet", "-", f"{self.base_commit}..{ref}", timeout=600)
        if ended.code:
            raise Refused(f"there is no work to bundle on {self.branch}: {ended.last_line}")
        return ended.output

    async def _unbundle(self, bundle: bytes) -> None:
        quiet = ("--quiet", "--no-tags", "--no-recurse-submodules", "--update-head-ok", "--no-write-fetch-head")
        with tempfile.NamedTemporaryFile(dir=self.home.parent, suffix=".bundle") as file:
            await asyncio.to_thread(_write, Path(file.name), bundle)
            async with self.opening:
                fetched = await self.git.attempt("fetch", *quiet, "--", file.name, f"+refs/*:{self._incoming}/*")
        if fetched.code:
            raise Malformed(f"the bundle of the work cannot be read: {fetched.last_line}")


async def open_tree(
    repository: str,
    base: str,
    branch: str,
    folder: Path,
    base_commit: str = "",
    *,
    token: str = "",
    tell: Tell = in_the_log,
) -> Tree:
    """Clones into ``folder`` (what an earlier run left there is replaced) and begins ``branch`` at the base.

    ``base_commit`` names where an earlier attempt began; it must still be in the repository. ``token`` is a credential
    for an https address, for the clone alone. ``tell`` as for ``clone``. Raises ``Refused`` and ``Unavailable``.
    """
    check_branch(branch)
    store, root, home = folder / "repository.git", folder / "tree", folder / "home"
    for old in (root, home, home.with_name("home.tmp")):
        await asyncio.to_thread(shutil.rmtree, old, ignore_errors=True)
    bare = await clone(repository, base, store, token=token, holding=base_commit, tell=tell)
    home.mkdir(parents=True)
    start = base_commit or await bare.line("rev-parse", "HEAD")
    if (await bare.attempt("cat-file", "-e", f"{start}^{{commit}}")).code:
        raise Refused(f"the repository no longer holds the commit {start} this work began at; start it again")
    await bare("worktree", "add", "--lock", "--quiet", "--force", "--no-track", "-B", branch, "--", str(root), start)
    return Tree(Git(store / "worktrees" / root.name, root), root, home, branch, start)


def _remove(path: Path) -> None:
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path, ignore_errors=True)
    else:
        path.unlink(missing_ok=True)


def _write(path: Path, data: bytes) -> None:
    path.write_bytes(data)
