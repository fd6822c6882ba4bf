"""Brings a bundle to the repository's branch, once, however often it is asked to."""

import asyncio
import tempfile
from pathlib import Path

import msgspec

from ..errors import Conflict, Malformed, Refused, Unavailable
from .address import check_branch, check_url, without_secrets
from .clone import heads, passing
from .git import Git


class Delivered(msgspec.Struct, frozen=True, kw_only=True):
    """``pushed`` is false when the branch was already there."""

    branch: str
    commit: str
    pushed: bool


async def deliver(*, repository: str, bundle: bytes, branch: str, commit: str, workflow_id: str) -> Delivered:
    """Afterwards the remote's ``branch`` is at ``commit``.

    A branch that is already there is adopted; one that holds an earlier delivery of the same workflow (the trailer
    ``Amelia-Workflow`` of its last commit says so) is replaced. Raises ``Conflict`` when the branch is another's,
    ``Malformed`` when the bundle does not hold ``commit``, ``Refused`` or ``Unavailable`` when the remote says no.
    """
    check_url(repository)
    check_branch(branch)
    with tempfile.TemporaryDirectory(prefix="amelia-deliver-") as name:
        folder = Path(name)
        there = (await heads(repository, folder, f"refs/heads/{branch}")).get(branch, "")
        if there == commit:
            return Delivered(branch=branch, commit=commit, pushed=False)
        git = Git(folder / "deliver.git")
        git.git_dir.mkdir()
        await git("init", "--quiet", "--bare", "--template=")
        if there:
            await _check_ours(git, repository, branch, workflow_id)
        await _unpack(git, repository, bundle, branch, commit)
        await _push(git, repository, branch, commit, there)
    return Delivered(branch=branch, commit=commit, pushed=True)


async def _check_ours(git: Git, repository: str, branch: str, workflow_id: str) -> None:
    await _fetch(git, repository, "--depth=1", f"+refs/heads/{branch}:refs/amelia/there")
    said = await git.line("log", "-1", "--format=%(trailers:key=Amelia-Workflow,valueonly)", "refs/amelia/there")
    if workflow_id not in said.split():
        raise Conflict(
            f"the branch {branch} of {without_secrets(repository)} holds work that is not of {workflow_id}; "
            "rename or delete that branch, then deliver again"
        )


async def _unpack(git: Git, repository: str, bundle: bytes, branch: str, commit: str) -> None:
    file = git.git_dir / "incoming.bundle"
    await asyncio.to_thread(file.write_bytes, bundle)
    for number, needed in enumerate(_prerequisites(bundle)):
        await _fetch(git, repository, f"+{needed}:refs/amelia/base/{number}")
    fetched = await git.attempt(
        *("-c", "fetch.fsckObjects=true", "fetch", "--quiet", "--no-tags"),
        *("--", str(file), f"+refs/heads/{branch}:refs/amelia/work"),
    )
    if fetched.code:
        raise Malformed(f"the bundle for {branch} cannot be read: {fetched.last_line}")
    found = await git.line("rev-parse", "refs/amelia/work")
    if found != commit:
        raise Malformed(f"the bundle for {branch} holds {found} and not the commit {commit} that was handed in")


async def _push(git: Git, repository: str, branch: str, commit: str, there: str) -> None:
    ended = await git.attempt(
        *("push", "--quiet", "--no-verify", f"--force-with-lease=refs/heads/{branch}:{there}"),
        *("--", repository, f"{commit}:refs/heads/{branch}"),
        network=True,
        timeout=600,
    )
    if ended.code == 0 or (await heads(repository, git.git_dir, f"refs/heads/{branch}")).get(branch) == commit:
        return
    name, text = without_secrets(repository), without_secrets(ended.errors.decode(errors="replace"))
    if "checked out" in text:
        raise Conflict(f"the branch {branch} is checked out in {name}; check out another one there, then deliver again")
    if "stale info" in text or "fetch first" in text:
        raise Conflict(f"the branch {branch} of {name} was moved by somebody else meanwhile; deliver again")
    kind = Unavailable if passing(ended) else Refused
    raise kind(f"{name} does not take the branch {branch}: {_complaint(text)}")


async def _fetch(git: Git, repository: str, *arguments: str) -> None:
    options = [a for a in arguments if a.startswith("--")]
    refs = [a for a in arguments if not a.startswith("--")]
    ended = await git.attempt(
        *("fetch", "--quiet", "--no-tags", *options, "--", repository, *refs), network=True, timeout=1200
    )
    if ended.code:
        text = without_secrets(ended.last_line)
        kind = Unavailable if passing(ended) else Refused
        raise kind(f"cannot fetch from {without_secrets(repository)}: {text}")


def _prerequisites(bundle: bytes) -> tuple[str, ...]:
    """The commits a bundle builds upon, from its header: lines that begin with ``-``."""
    header = bundle.split(b"\n\n", 1)[0].split(b"\n")
    return tuple(line[1:41].decode("ascii", "replace") for line in header if line.startswith(b"-"))


def _complaint(text: str) -> str:
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    telling = [line for line in lines if line.startswith(("!", "remote:", "fatal:"))]
    return (telling or lines or ["git gave no reason"])[0]
