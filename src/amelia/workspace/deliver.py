"""Brings a bundle to the repository's branch, once, however often it is asked to."""

import asyncio
import glob
import shutil
import tempfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import msgspec

from ..errors import AmeliaError, Conflict, Malformed
from .address import check_branch, without_secrets
from .git import Git
from .remote import Remote
from .spawn import Exit


class Delivered(msgspec.Struct, frozen=True, kw_only=True):
    """``pushed`` is false when the branch was already there."""

    branch: str
    commit: str
    pushed: bool


async def deliver(
    *, repository: str, bundle: bytes, branch: str, commit: str, workflow_id: str, token: str = ""
) -> Delivered:
    """Afterwards the remote's ``branch`` is at ``commit``.

    A branch that is already there is adopted; one that holds an earlier delivery of the same workflow (the trailer
    ``Amelia-Workflow`` of its last commit says so) is replaced. ``token`` is a credential for an https address. Raises
    ``Conflict`` when the branch is another's, ``Malformed`` when the bundle does not hold ``commit``, ``Refused`` or
    ``Unavailable`` when the remote says no.
    """
    remote = Remote(repository, token)
    check_branch(branch)
    async with _scratch(workflow_id) as git:
        there = await remote.head(git.git_dir, branch)
        if there == commit:
            return Delivered(branch=branch, commit=commit, pushed=False)
        if there and not await _is_ours(git, remote, branch, workflow_id):
            raise Conflict(
                f"the branch {branch} of {remote.name} holds work that is not of {workflow_id}; "
                "rename or delete that branch, then deliver again"
            )
        await _unpack(git, remote, bundle, branch, commit)
        ended = await remote.push(git, branch, commit, there)
        if ended.code and await remote.head(git.git_dir, branch) != commit:
            raise _rejection(remote, branch, ended)
    return Delivered(branch=branch, commit=commit, pushed=True)


async def withdraw(*, repository: str, branch: str, commit: str, workflow_id: str, token: str = "") -> bool:
    """Takes a delivery back: deletes the remote's ``branch``, and nothing else than this workflow's ``commit``.

    False when the branch is not there, or at anything else by now. Raises ``Refused`` or ``Unavailable`` when the
    remote says no; again is safe.
    """
    remote = Remote(repository, token)
    check_branch(branch)
    async with _scratch(workflow_id) as git:
        if await remote.head(git.git_dir, branch) != commit or not await _is_ours(git, remote, branch, workflow_id):
            return False
        ended = await remote.push(git, branch, "", commit)
        if ended.code == 0:
            return True
        there = await remote.head(git.git_dir, branch)
        if there == commit:
            raise _rejection(remote, branch, ended)
    return not there


_in_use: set[Path] = set()
"""By deliveries of this program: one workflow may have two for a moment, when a lock was lost."""


@asynccontextmanager
async def _scratch(workflow_id: str) -> AsyncIterator[Git]:
    """An empty repository that is gone afterwards. What a delivery of this workflow that was killed has left behind
    goes first."""
    prefix = f"amelia-deliver-{workflow_id}-"
    await asyncio.to_thread(_clear, prefix)
    with tempfile.TemporaryDirectory(prefix=prefix) as name:
        _in_use.add(Path(name))
        try:
            git = Git(Path(name) / "deliver.git")
            git.git_dir.mkdir()
            await git("init", "--quiet", "--bare", "--template=")
            yield git
        finally:
            _in_use.discard(Path(name))


def _clear(prefix: str) -> None:
    for left in set(Path(tempfile.gettempdir()).glob(f"{glob.escape(prefix)}*")) - _in_use:
        shutil.rmtree(left, ignore_errors=True)


async def _is_ours(git: Git, remote: Remote, branch: str, workflow_id: str) -> bool:
    await remote.fetch(git, f"+refs/heads/{branch}:refs/amelia/there", depth=1)
    said = await git.line("log", "-1", "--format=%(trailers:key=Amelia-Workflow,valueonly)", "refs/amelia/there")
    return workflow_id in said.split()


async def _unpack(git: Git, remote: Remote, bundle: bytes, branch: str, commit: str) -> None:
    file = git.git_dir / "incoming.bundle"
    await asyncio.to_thread(file.write_bytes, bundle)
    for number, needed in enumerate(_prerequisites(bundle)):
        await remote.fetch(git, f"+{needed}:refs/amelia/base/{number}", depth=1)
    fetched = await git.attempt(
        *("-c", "fetch.fsckObjects=true", "fetch", "--quiet", "--no-tags"),
        *("--", str(file), f"+refs/heads/{branch}:refs/amelia/work"),
    )
    if fetched.code:
        raise Malformed(f"the bundle for {branch} cannot be read: {fetched.last_line}")
    found = await git.line("rev-parse", "refs/amelia/work")
    if found != commit:
        raise Malformed(f"the bundle for {branch} holds {found} and not the commit {commit} that was handed in")


def _rejection(remote: Remote, branch: str, ended: Exit) -> AmeliaError:
    text = without_secrets(ended.errors.decode(errors="replace"))
    if "checked out" in text:
        return Conflict(
            f"the branch {branch} is checked out in {remote.name}; check out another one there, then deliver again"
        )
    if "stale info" in text or "fetch first" in text:
        return Conflict(f"the branch {branch} of {remote.name} was moved by somebody else meanwhile; deliver again")
    return remote.error(f"{remote.name} does not take the branch {branch}", ended, _complaint(text))


def _prerequisites(bundle: bytes) -> tuple[str, ...]:
    """The commits a bundle builds upon, from its header: lines that begin with ``-``."""
    header = bundle.split(b"\n\n", 1)[0].split(b"\n")
    return tuple(line[1:].split(b" ")[0].decode("ascii", "replace") for line in header if line.startswith(b"-"))


def _complaint(text: str) -> str:
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    telling = [line for line in lines if line.startswith(("!", "remote:", "fatal:", "error: RPC failed"))]
    return (telling or lines or ["git gave no reason"])[0]
