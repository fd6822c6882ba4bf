"""Which repository is meant, as an address that whoever works on it can reach."""

import subprocess
from pathlib import Path
from urllib.parse import urlsplit

from amelia.errors import Refused
from amelia.workspace.address import resolve, without_secrets

_LOOPBACK = ("127.0.0.1", "localhost", "::1")


def here(given: str, base: str) -> str:
    """For agents on this machine: the URL given, or ``file://`` of the repository at the path or around us.

    Raises ``Refused`` when there is none, it has no commit, or no branch ``base``.
    """
    if urlsplit(given).password:
        raise Refused("--repo holds a password; leave it out, git takes it from its credential helper")
    url = resolve(given or ".")
    if url.startswith("file://"):
        _check(url.removeprefix("file://"), base)
    return url


def reachable(given: str, base: str, fleet_url: str) -> str:
    """For a fleet: one that is elsewhere cannot see this machine's files, and is given the ``origin``."""
    url = here(given, base)
    if not url.startswith("file://") or urlsplit(fleet_url).hostname in _LOOPBACK:
        return url
    folder = url.removeprefix("file://")
    origin = "" if given else _plain(_git(folder, "remote", "get-url", "origin").stdout.strip())
    if not origin or resolve(origin).startswith("file://"):
        raise Refused(f"the fleet at {fleet_url} cannot see {folder}; give --repo a URL that it can clone")
    return origin


def _plain(origin: str) -> str:
    """Without the credential that a checkout's ``origin`` may hold: the fleet has its own."""
    return without_secrets(origin) if origin.startswith("https://") else origin


def origin(given: str) -> str:
    """Where the repository at a path, or around us, comes from; a URL as it is; "" when that is nowhere."""
    if "://" in given or (":" in given and not Path(given).exists()):
        return given
    return _git(given or ".", "remote", "get-url", "origin").stdout.strip()


def uncommitted(url: str) -> bool:
    """Whether the repository has changes that a clone of it would not."""
    folder = url.removeprefix("file://")
    return url.startswith("file://") and bool(_git(folder, "status", "--porcelain", "-uno").stdout.strip())


def _check(folder: str, base: str) -> None:
    if not Path(folder).is_dir() or _git(folder, "rev-parse", "--git-dir").returncode:
        raise Refused(f"{folder} is no git repository; name the folder or URL of one with --repo")
    branches = _git(folder, "for-each-ref", "--format=%(refname:short)", "refs/heads").stdout.split()
    if not branches:
        raise Refused(f"{folder} has no commit yet; commit something there first")
    if base and base not in branches:
        there = ", ".join(branches[:8])
        raise Refused(f"there is no branch {base!r} in {folder}; it has {there}")


def _git(folder: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    try:
        return subprocess.run(["git", "-C", folder, *arguments], capture_output=True, text=True, check=False)  # noqa: S603, S607
    except FileNotFoundError as error:
        raise Refused("there is no git on this machine; install it first") from error
