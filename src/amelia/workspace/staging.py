"""What of a worktree belongs to the change."""

from collections.abc import Mapping

from .git import Git

_GITLINK = b"160000 "


async def stage(git: Git, env: Mapping[str, str] | None = None) -> None:
    """All that changed, came and went, ignored files apart. ``env`` may name another index.

    ``git add`` asks git inside each repository that lies in the worktree for its state, with the configuration of that
    repository. So those are left out: a submodule is staged by the commit it is at, and a repository that somebody made
    or cloned there is no part of the change.
    """
    links = await _submodules(git, env)
    inner = (*links, *await _strange(git, env))
    wanted = _listed(".", *(f":(top,exclude,literal){path}" for path in inner))
    await git("add", "--all", "--pathspec-from-file=-", "--pathspec-file-nul", stdin=wanted, env=env)
    if links:
        await git("update-index", "--remove", "-z", "--stdin", stdin=_listed(*links), env=env)


async def _submodules(git: Git, env: Mapping[str, str] | None) -> tuple[str, ...]:
    listed = (await git("ls-files", "--stage", "-z", env=env)).split(b"\0")
    return tuple(_name(line.split(b"\t", 1)[1]) for line in listed if line.startswith(_GITLINK))


async def _strange(git: Git, env: Mapping[str, str] | None) -> tuple[str, ...]:
    """git ends the name of a repository that it does not know with a slash."""
    listed = (await git("ls-files", "--others", "--exclude-standard", "-z", env=env)).split(b"\0")
    return tuple(_name(path[:-1]) for path in listed if path.endswith(b"/"))


def _listed(*names: str) -> bytes:
    return "\0".join(names).encode(errors="surrogateescape")


def _name(path: bytes) -> str:
    return path.decode(errors="surrogateescape")
