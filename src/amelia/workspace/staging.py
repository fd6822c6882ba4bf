"""What of a worktree belongs to the change."""

from collections.abc import Mapping

from .git import Git

_OTHER, _GITLINK = b"? ", b"160000 "


async def stage(git: Git, env: Mapping[str, str] | None = None) -> None:
    """All that changed, came and went, ignored files apart. ``env`` may name another index.

    ``git add`` asks git inside each repository that lies in the worktree for its state, with the configuration of that
    repository. So those are left out: a submodule is staged by the commit it is at, and a repository that somebody made
    or cloned there is no part of the change.
    """
    links, strange = await _repositories(git, env)
    wanted = _listed(".", *(f":(top,exclude,literal){path}" for path in (*links, *strange)))
    await git("add", "--all", "--pathspec-from-file=-", "--pathspec-file-nul", stdin=wanted, env=env)
    if links:
        await git("update-index", "--remove", "-z", "--stdin", stdin=_listed(*links), env=env)


async def _repositories(git: Git, env: Mapping[str, str] | None) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Submodules, and what git does not know, whose name it ends with a slash."""
    listed = await git("ls-files", "-t", "--stage", "--others", "--exclude-standard", "-z", env=env)
    links: dict[str, None] = {}
    strange: list[str] = []
    for line in listed.split(b"\0"):
        tag, entry = line[:2], line[2:]
        if tag == _OTHER:
            strange += [_name(entry[:-1])] if entry.endswith(b"/") else []
        elif entry.startswith(_GITLINK):
            links[_name(entry.split(b"\t", 1)[1])] = None
    return tuple(links), tuple(strange)


def _listed(*names: str) -> bytes:
    return "\0".join(names).encode(errors="surrogateescape")


def _name(path: bytes) -> str:
    return path.decode(errors="surrogateescape")
