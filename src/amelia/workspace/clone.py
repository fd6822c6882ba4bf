"""A fresh copy of a repository's base branch."""

import asyncio
import shutil
from pathlib import Path

from ..errors import AmeliaError, Refused, Unavailable
from .address import check_branch
from .git import Git
from .remote import Remote, passing
from .spawn import Exit

ATTEMPTS = 4
CLONE_SECONDS = 1200


async def clone(repository: str, base: str, into: Path, *, token: str = "", backoff: float = 1.0) -> Git:
    """A bare clone of one branch with its history; ``base`` empty is the remote's default.

    ``token`` is a credential for an https address; nothing of it is in the clone. Raises ``Refused`` when there is no
    such repository or branch, ``Unavailable`` when the network stayed away. ``backoff`` is the first pause in seconds;
    it doubles.
    """
    remote = Remote(repository, token)
    branch = ["--branch", check_branch(base)] if base else []
    into.parent.mkdir(parents=True, exist_ok=True)
    for attempt in range(ATTEMPTS):
        await asyncio.to_thread(shutil.rmtree, into, ignore_errors=True)
        ended = await _clone(remote, branch, into)
        if ended.code == 0:
            return await _usable(Git(into), remote)
        if not passing(ended):
            raise await _refusal(remote, base, ended, into.parent)
        await asyncio.sleep(backoff * 2**attempt)
    raise Unavailable(f"{remote.name} does not answer: {remote.reason(ended)}")


async def _clone(remote: Remote, branch: list[str], into: Path) -> Exit:
    return await remote.run(
        into.parent,
        *("clone", "--quiet", "--bare", "--single-branch", "--no-tags", "--template=", *branch),
        *("--", remote.url, str(into)),
        timeout=CLONE_SECONDS,
    )


async def _usable(git: Git, remote: Remote) -> Git:
    """Forgets the address, which may hold a credential: what runs in the worktree can read the configuration."""
    if (await git.attempt("rev-parse", "--verify", "--quiet", "HEAD^{commit}")).code:
        raise Refused(f"{remote.name} has no commits; push a first one")
    await git("remote", "remove", "origin")
    return git


async def _refusal(remote: Remote, base: str, ended: Exit, folder: Path) -> AmeliaError:
    if base and b"not found in upstream" in ended.errors:
        known = await remote.heads(folder)
        some = ", ".join(sorted(known)[:20]) or "none at all"
        return Refused(f"repository {remote.name} has no branch {base}; it has: {some}")
    return remote.error(f"cannot clone {remote.name}", ended)
