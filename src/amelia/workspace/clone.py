"""A fresh copy of a repository's base branch."""

import asyncio
import logging
import re
import shutil
from collections.abc import Callable
from pathlib import Path

from ..errors import AmeliaError, Refused, Unavailable
from .address import check_branch
from .git import Git
from .remote import Remote, passing
from .spawn import Exit
from .trusted import distrust, trust

ATTEMPTS = 4
CLONE_SECONDS = 1200
DEPTH = 100
"""Commits of history that come along: enough to see how the last ones were made."""

Tell = Callable[[str], None]
in_the_log: Tell = logging.getLogger(__name__).info

_WHOLE_ONLY = re.compile(rb"does not support (shallow|--depth)|dumb http transport", re.IGNORECASE)


async def clone(
    repository: str,
    base: str,
    into: Path,
    *,
    token: str = "",
    holding: str = "",
    backoff: float = 1.0,
    tell: Tell = in_the_log,
) -> Git:
    """A bare clone of one branch with its newest history; ``base`` empty is the remote's default.

    It also has the commit ``holding`` when the remote still gives it. ``token`` is a credential for an https address;
    nothing of it is in the clone. Raises ``Refused`` when there is no such repository or branch,
    ``Unavailable`` when the network stayed away. ``backoff`` is the first pause in seconds; it doubles. ``tell`` hears
    of each new try.
    """
    remote = Remote(repository, token)
    branch = ["--branch", check_branch(base)] if base else []
    into.parent.mkdir(parents=True, exist_ok=True)
    ended = await _patiently(remote, branch, into, backoff, tell)
    if ended.code:
        if passing(ended):
            raise Unavailable(f"{remote.name} does not answer: {remote.reason(ended)}")
        raise await _refusal(remote, base, ended, into.parent)
    git = Git(into)
    if holding:
        await _deepen(git, remote, holding)
    await _ours_alone(git, remote)
    return git


async def _patiently(remote: Remote, branch: list[str], into: Path, backoff: float, tell: Tell) -> Exit:
    depth = DEPTH
    for tries in range(1, ATTEMPTS + 1):
        ended = await _clone(remote, branch, into, depth)
        if ended.code and depth and _WHOLE_ONLY.search(ended.errors):
            depth = 0
            ended = await _clone(remote, branch, into, depth)
        if ended.code == 0 or not passing(ended) or tries == ATTEMPTS:
            return ended
        tell(f"the clone of {remote.name} does not answer ({remote.reason(ended)}); trying again")
        await asyncio.sleep(backoff * 2 ** (tries - 1))
    raise AssertionError


async def _clone(remote: Remote, branch: list[str], into: Path, depth: int) -> Exit:
    await asyncio.to_thread(distrust, into)
    await asyncio.to_thread(shutil.rmtree, into, ignore_errors=True)
    return await remote.run(
        into.parent,
        *("clone", "--quiet", "--bare", "--single-branch", "--no-tags", "--template="),
        *([f"--depth={depth}"] if depth else []),
        *branch,
        *("--", remote.url, str(into)),
        timeout=CLONE_SECONDS,
    )


async def _deepen(git: Git, remote: Remote, commit: str) -> None:
    """A commit that the newest history does not reach: asked for by its name, which not every server answers, and then
    with all of the history."""
    if await _holds(git, commit):
        return
    try:
        await remote.fetch(git, f"+{commit}:refs/amelia/began", depth=DEPTH)
    except Refused:
        if (git.git_dir / "shallow").exists():
            head = (await git.attempt("symbolic-ref", "--quiet", "HEAD")).output.decode().strip() or "HEAD"
            await remote.fetch(git, f"+{head}:refs/amelia/all", unshallow=True)


async def _holds(git: Git, commit: str) -> bool:
    return (await git.attempt("cat-file", "-e", f"{commit}^{{commit}}")).code == 0


async def _ours_alone(git: Git, remote: Remote) -> None:
    """Forgets the address, which may hold a credential: what runs in the worktree can read the configuration. And keeps
    the configuration as it is now, for our own calls."""
    if not await _holds(git, "HEAD"):
        raise Refused(f"{remote.name} has no commits; push a first one")
    await git("remote", "remove", "origin")
    await asyncio.to_thread(trust, git.git_dir)


async def _refusal(remote: Remote, base: str, ended: Exit, folder: Path) -> AmeliaError:
    if base and b"not found in upstream" in ended.errors:
        known = await remote.heads(folder)
        some = ", ".join(sorted(known)[:20]) or "none at all"
        return Refused(f"repository {remote.name} has no branch {base}; it has: {some}")
    return remote.error(f"cannot clone {remote.name}", ended)
