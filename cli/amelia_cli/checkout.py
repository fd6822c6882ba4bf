"""A checkout on this machine, into which the work of agents is brought without losing what is there."""

import os
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import takewhile
from pathlib import Path

from amelia.errors import Conflict, Refused
from amelia.workspace.address import without_secrets

_FLAGS = (
    *("-c", "core.hooksPath=/dev/null", "-c", "core.fsmonitor=false", "-c", "submodule.recurse=false"),
    *("-c", "protocol.ext.allow=never", "-c", "protocol.file.allow=always", "-c", "core.quotePath=false"),
)
_PLACES = ("GIT_DIR", "GIT_WORK_TREE", "GIT_INDEX_FILE", "GIT_COMMON_DIR", "GIT_NAMESPACE", "GIT_PREFIX")
_NOTHING = "0" * 40


class Checkout:
    """git with the user's own settings, but without hooks: those of a repository may be files that agents wrote.

    Raises ``Refused`` when there is no repository at ``folder`` or above it.
    """

    def __init__(self, folder: Path) -> None:
        self.root = folder
        found = self._git("rev-parse", "--is-bare-repository") if folder.is_dir() else None
        if found is None or found.returncode:
            raise Refused(f"{folder} is in no git repository; name the checkout with --repo")
        self.bare = found.stdout.strip() == "true"
        top = "--absolute-git-dir" if self.bare else "--show-toplevel"
        self.root = Path(self._line("rev-parse", top))

    @property
    def current(self) -> str:
        """The branch that is checked out, "" when none is."""
        return self._git("symbolic-ref", "--quiet", "--short", "HEAD").stdout.strip()

    def take(self, bundle: bytes, workflow_id: str, repository: str) -> str:
        """Brings the bundle's objects here; gives its commit. No branch moves.

        Raises ``Refused`` when the bundle builds upon something that is not here.
        """
        needed, heads = _header(bundle)
        if len(heads) != 1:
            raise Refused(f"the work of {workflow_id} cannot be read; fetch it again")
        lacking = [commit for commit in needed if self._git("cat-file", "-e", f"{commit}^{{commit}}").returncode]
        if lacking:
            raise Refused(self._lacks(lacking[0], workflow_id, repository))
        [(ref, commit)] = heads.items()
        with _file(bundle) as path:
            options = ("--quiet", "--no-tags", "--no-recurse-submodules", "--no-write-fetch-head")
            kept = f"refs/amelia/{workflow_id}"
            fetched = self._git("-c", "fetch.fsckObjects=true", "fetch", *options, "--", str(path), f"+{ref}:{kept}")
        if fetched.returncode:
            raise Refused(f"the work of {workflow_id} does not go into {self.root}: {_complaint(fetched)}")
        return commit

    def point(self, branch: str, commit: str, workflow_id: str, *, force: bool, moves: bool) -> str:
        """The branch is at the commit; gives where it was, "" when it is new. What is checked out here goes on, with
        its files, only where that ``moves``.

        Raises ``Conflict`` when that would lose commits of somebody else, or pull a branch away under a worktree.
        """
        ref = f"refs/heads/{branch}"
        was = self._git("rev-parse", "--verify", "--quiet", f"{ref}^{{commit}}").stdout.strip()
        if was == commit:
            return was
        onward = not was or self._git("merge-base", "--is-ancestor", was, commit).returncode == 0
        if not onward and not force and (count := self._strangers(commit, was, workflow_id)):
            commits = f"{count} commit{'s' if count > 1 else ''}"
            raise Conflict(
                f"the branch {branch} holds {commits} that {workflow_id} did not make; "
                "give another name with --branch, or --force to let them go"
            )
        where = self._checked_out(ref)
        if where == self.root and onward:
            if not moves:
                raise Conflict(
                    f"the branch {branch} is checked out in {where}, where your files stay; "
                    "let them go on too with --merge, or give another name with --branch"
                )
            ended = self._git("merge", "--quiet", "--ff-only", commit)
            self._or_conflict(ended, f"{branch} is checked out, and does not go on:")
        elif where:
            raise Conflict(f"the branch {branch} is checked out in {where}; check out another there, or give --branch")
        else:
            self._or_conflict(
                self._git("update-ref", "-m", f"amelia: the work of {workflow_id}", ref, commit, was or _NOTHING),
                f"{branch} cannot be made:",
            )
        return was

    def switch(self, branch: str) -> None:
        """Raises ``Conflict`` when changes that are not committed are in the way."""
        self._tree("--checkout")
        self._or_conflict(self._git("checkout", "--quiet", branch, "--"), f"{branch} is there, but not checked out:")

    def merge(self, branch: str) -> str:
        """Gives the branch it was merged into. Raises ``Conflict``; everything is then as before."""
        self._tree("--merge")
        into = self.current or self._line("rev-parse", "--short", "HEAD")
        ended = self._git("merge", "--quiet", "--no-edit", branch)
        if ended.returncode:
            clashing = self._git("diff", "--name-only", "--diff-filter=U").stdout.split("\n")[:-1]
            if clashing:
                self._git("merge", "--abort")
                some = ", ".join(clashing[:8])
                raise Conflict(f"{branch} is there, but contradicts {into} in {some}; merge it by hand")
            self._or_conflict(ended, f"{branch} is there, but not merged:")
        return into

    def push(self, branch: str, repository: str) -> str:
        """To the remote that is ``repository``, else to ``origin``; gives its name. Never moves a branch back."""
        remote = self._remote_of(repository) or "origin"
        if self._git("remote", "get-url", remote).returncode:
            raise Refused(f"{branch} is there, but {self.root} has no remote {remote} to push it to; add one")
        ref = f"refs/heads/{branch}"
        ended = self._git("push", "--quiet", "--no-verify", "--", remote, f"{ref}:{ref}")
        self._or_conflict(ended, f"{branch} is there, but {remote} does not take it:")
        return remote

    def _lacks(self, commit: str, workflow_id: str, repository: str) -> str:
        remote = self._remote_of(repository)
        way = f"run git fetch {remote} there" if remote else f"name a checkout of {repository} with --repo"
        return f"{self.root} does not have the commit {commit[:12]} that {workflow_id} builds upon; {way}"

    def _remote_of(self, repository: str) -> str:
        listed = (line.split() for line in self._git("remote", "--verbose").stdout.splitlines())
        return next((name for name, url, *_ in listed if _plain(url) == _plain(repository)), "")

    def _strangers(self, commit: str, was: str, workflow_id: str) -> int:
        """Commits that only the branch has, and that do not name the workflow."""
        shape = "--format=%H%x00%(trailers:key=Amelia-Workflow,valueonly,separator=%x20)"
        lines = self._line("log", shape, f"{commit}..{was}").splitlines()
        return sum(workflow_id not in line.partition("\0")[2].split() for line in lines)

    def _checked_out(self, ref: str) -> Path | None:
        where: Path | None = None
        for line in self._line("worktree", "list", "--porcelain").splitlines():
            key, _, value = line.partition(" ")
            if key == "worktree":
                where = Path(value)
            elif key == "branch" and value == ref:
                return where
        return None

    def _tree(self, option: str) -> None:
        if self.bare:
            raise Refused(f"{self.root} has no worktree, so {option} means nothing there; leave it out")

    def _or_conflict(self, ended: subprocess.CompletedProcess[str], doing: str) -> None:
        if ended.returncode:
            raise Conflict(f"{doing} {_complaint(ended)}")

    def _line(self, *arguments: str) -> str:
        ended = self._git(*arguments)
        if ended.returncode:
            raise Refused(f"git {arguments[0]} fails in {self.root}: {_complaint(ended)}")
        return ended.stdout.strip()

    def _git(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        env = {name: value for name, value in os.environ.items() if name not in _PLACES} | {"LC_ALL": "C.UTF-8"}
        command = ["git", *_FLAGS, *arguments]
        try:
            return subprocess.run(  # noqa: S603
                command, cwd=self.root, env=env, capture_output=True, text=True, errors="replace", check=False
            )
        except FileNotFoundError as error:
            raise Refused("there is no git on this machine; install it first") from error


def _header(bundle: bytes) -> tuple[list[str], dict[str, str]]:
    """What a bundle builds upon, and its refs with their commits."""
    head = bundle.split(b"\n\n", 1)[0].decode("ascii", "replace").splitlines()
    if not head or not head[0].startswith("# v"):
        return [], {}
    lines = [line for line in head[1:] if not line.startswith("@")]
    refs = (line.partition(" ") for line in lines if not line.startswith("-"))
    return [line[1:].split(" ")[0] for line in lines if line.startswith("-")], {
        name: commit for commit, _, name in refs
    }


@contextmanager
def _file(bundle: bytes) -> Iterator[Path]:
    with tempfile.NamedTemporaryFile(prefix="amelia-", suffix=".bundle") as file:
        file.write(bundle)
        file.flush()
        yield Path(file.name)


def _plain(address: str) -> str:
    """Ways of writing the address of one repository."""
    plain = without_secrets(address).removesuffix("/").removesuffix(".git")
    host, colon, path = plain.partition(":")
    if "://" not in plain and colon and "/" not in host:
        plain = f"ssh://{host.rpartition('@')[2]}/{path}"
    return plain.removeprefix("file://").replace("ssh://", "https://", 1)


def _complaint(ended: subprocess.CompletedProcess[str]) -> str:
    """What git says first, with the files that it lists below it."""
    said = [line for line in ended.stderr.splitlines() if line.strip()] or [f"git ended with {ended.returncode}"]
    telling = (n for n, line in enumerate(said) if line.startswith(("!", " !", "fatal:", "error:", "remote:")))
    first = next(telling, 0)
    listed = [line.strip() for line in takewhile(lambda line: line.startswith("\t"), said[first + 1 :])]
    named = ", ".join(listed[:8]) + (", …" if len(listed) > 8 else "")
    return without_secrets(f"{said[first].strip()} {named}".strip())
