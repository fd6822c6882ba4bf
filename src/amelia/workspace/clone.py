"""A fresh copy of a repository's base branch."""

import asyncio
import re
import shutil
from pathlib import Path

from ..errors import Refused, Unavailable
from .address import check_branch, check_url, without_secrets
from .git import Git, outside
from .spawn import Exit

ATTEMPTS = 4
CLONE_SECONDS = 1200
_PASSING = re.compile(
    r"could not resolve host|timed out|connection (reset|refused)|couldn't connect|failed to connect|early eof"
    r"|unexpected disconnect|remote end hung up|temporary failure|error: 5\d\d|error: 429|rpc failed"
    r"|network is unreachable",
    re.IGNORECASE,
)


async def clone(repository: str, base: str, into: Path, *, backoff: float = 1.0) -> Git:
    """A bare clone of one branch with its history; ``base`` empty is the remote's default.

    Raises ``Refused`` when there is no such repository or branch, ``Unavailable`` when the network stayed away.
    ``backoff`` is the first pause in seconds; it doubles.
    """
    check_url(repository)
    branch = ["--branch", check_branch(base)] if base else []
    into.parent.mkdir(parents=True, exist_ok=True)
    for attempt in range(ATTEMPTS):
        await asyncio.to_thread(shutil.rmtree, into, ignore_errors=True)
        ended = await _clone(repository, branch, into)
        if ended.code == 0:
            return await _usable(Git(into), repository)
        if not passing(ended):
            raise await _refusal(repository, base, ended, into.parent)
        await asyncio.sleep(backoff * 2**attempt)
    raise Unavailable(f"{without_secrets(repository)} does not answer: {_reason(ended)}")


async def heads(repository: str, folder: Path, *patterns: str) -> dict[str, str]:
    """The remote's branches now: name to commit. Raises ``Refused`` or ``Unavailable``."""
    check_url(repository)
    ended = await outside(folder, "ls-remote", "--heads", "--", repository, *patterns)
    if ended.code:
        kind = Unavailable if passing(ended) else Refused
        raise kind(f"cannot read {without_secrets(repository)}: {_reason(ended)}")
    found = (line.split("\t", 1) for line in ended.output.decode(errors="replace").splitlines() if "\t" in line)
    return {name.removeprefix("refs/heads/"): commit for commit, name in found}


async def _clone(repository: str, branch: list[str], into: Path) -> Exit:
    return await outside(
        into.parent,
        *("clone", "--quiet", "--bare", "--single-branch", "--no-tags", "--template=", *branch),
        *("--", repository, str(into)),
        timeout=CLONE_SECONDS,
    )


async def _usable(git: Git, repository: str) -> Git:
    """Forgets the address, which may hold a credential: what runs in the worktree can read the configuration."""
    if (await git.attempt("rev-parse", "--verify", "--quiet", "HEAD^{commit}")).code:
        raise Refused(f"{without_secrets(repository)} has no commits; push a first one")
    await git("remote", "remove", "origin")
    return git


async def _refusal(repository: str, base: str, ended: Exit, folder: Path) -> Refused:
    name = without_secrets(repository)
    if base and b"not found in upstream" in ended.errors:
        known = await heads(repository, folder)
        some = ", ".join(sorted(known)[:20]) or "none at all"
        return Refused(f"repository {name} has no branch {base}; it has: {some}")
    return Refused(f"cannot clone {name}: {_reason(ended)}")


def passing(ended: Exit) -> bool:
    """Whether git failed for a reason that goes away: the network's or the server's."""
    return ended.timed_out or bool(_PASSING.search(ended.errors.decode(errors="replace")))


def _reason(ended: Exit) -> str:
    return "git took too long" if ended.timed_out else without_secrets(ended.last_line)
