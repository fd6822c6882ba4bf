"""What a confined command sees of the machine: the system's programs, the tools on the path, and its own worktree."""

import os
import shutil
from collections.abc import Iterable, Iterator, Sequence
from functools import lru_cache
from pathlib import Path

import msgspec

SYSTEM = ("/usr", "/bin", "/sbin", "/lib", "/lib32", "/lib64", "/libx32", "/etc", "/opt", "/nix", "/snap", "/Library")
PROCESSORS = ("/sys/devices/system/cpu", "/sys/devices/system/node")
SECRETS = (
    *("/etc/shadow", "/etc/shadow-", "/etc/gshadow", "/etc/gshadow-", "/etc/sudoers", "/etc/sudoers.d"),
    *("/etc/ssl/private", "/etc/ssh", "/etc/kubernetes", "/etc/amelia", "/etc/docker", "/etc/krb5.keytab"),
    *("/etc/boto.cfg", "/etc/NetworkManager", "/etc/wireguard", "/etc/openvpn"),
)
LINKED = ("/etc/resolv.conf", "/etc/hosts", "/etc/localtime", "/etc/ssl/certs/ca-certificates.crt")
"""Files of ``/etc`` that often are links to elsewhere."""
INTERPRETERS = ("python3", "python", "node", "npm", "java", "ruby", "go", "cargo", "deno", "bun", "perl", "php")
IN_HOME = (
    *(".rustup", ".nvm/versions", ".sdkman/candidates", ".volta", ".local/lib", ".local/share/uv/python"),
    *(".local/share/mise/installs", ".local/share/pnpm", ".local/share/pipx/venvs", ".local/share/fnm"),
)
"""Where tools live that people install for themselves; nothing else of a home directory is seen."""
_PRIVATE_PREFIXES = ("", ".local", ".cargo", ".config")


class Place(msgspec.Struct, frozen=True, kw_only=True):
    """A worktree's ``root``, the repository's ``store``, and a ``home`` for what runs there. What can be written lies
    in folders that cannot, so that nothing in there can put a link in their place."""

    root: Path
    store: Path
    home: Path

    @property
    def tmp(self) -> Path:
        return self.home.with_name(f"{self.home.name}.tmp")

    @property
    def writable(self) -> tuple[Path, ...]:
        return (self.store, self.home, self.root)


def make_tmp(place: Place) -> None:
    """With the folders in it at which the place itself is mounted, should it lie below ``/tmp``: real ones, whatever a
    command before has put there."""
    place.tmp.mkdir(parents=True, exist_ok=True)
    for path in (place.store.parent, *place.writable):
        if path.is_relative_to("/tmp"):  # noqa: S108 - what is mounted there is its own
            folder = place.tmp
            for part in path.relative_to("/tmp").parts:  # noqa: S108 - see above
                folder /= part
                if folder.is_symlink() or not folder.is_dir():
                    folder.unlink(missing_ok=True)
                folder.mkdir(exist_ok=True)


def store_of(git_dir: Path) -> Path:
    """The repository a worktree's ``git_dir`` belongs to, never by a link that a command could have made."""
    if git_dir.parent.name != "worktrees":
        return git_dir
    store = git_dir.parents[1]
    return store.with_suffix(".git") if store.suffix == ".trusted" else store


def readable(more: Sequence[str]) -> tuple[str, ...]:
    """Existing paths, outer ones first; ``more`` are the settings'."""
    return _readable(os.environ.get("PATH", os.defpath), str(Path.home()), tuple(more))


@lru_cache(maxsize=8)
def _readable(path: str, home: str, more: tuple[str, ...]) -> tuple[str, ...]:
    found = [*SYSTEM, *PROCESSORS, *_toolchains(path, Path(home)), *(str(Path(one).expanduser()) for one in more)]
    links = [str(target) for link in LINKED if (target := Path(link).resolve()) != Path(link)]
    return tuple(_outermost(one for one in (*found, *links) if Path(one).exists()))


def _toolchains(path: str, home: Path) -> Iterator[str]:
    folders = [Path(one) for one in path.split(os.pathsep) if one.startswith("/")]
    started = [Path(found).resolve().parent for name in INTERPRETERS if (found := shutil.which(name, path=path))]
    private = [home / one for one in _PRIVATE_PREFIXES]
    for folder in (*folders, *(one.resolve() for one in folders), *started):
        if folder == home or home.is_relative_to(folder) or len(folder.parts) < 2:
            continue
        yield str(folder)
        whole = folder.name in ("bin", "sbin", "shims") and folder.parent not in private
        if whole and len(folder.parts) > 3 and not home.is_relative_to(folder.parent):
            yield str(folder.parent)
    yield from (str(home / one) for one in IN_HOME)


def _outermost(paths: Iterable[str]) -> Iterator[str]:
    kept: list[Path] = []
    for path in sorted({Path(one) for one in paths}, key=lambda one: (len(one.parts), str(one))):
        if not any(path.is_relative_to(outer) for outer in kept):
            kept.append(path)
            yield str(path)


def without_secrets(paths: Sequence[str]) -> Iterator[str]:
    """The same, ``/etc`` spelt out, for rules that can only allow."""
    secrets = {Path(one) for one in SECRETS}
    for path in paths:
        if path != "/etc":
            yield path
            continue
        for entry in _children(Path(path)):
            inner = [secret for secret in secrets if secret.parent == entry]
            if entry not in secrets:
                yield from (str(one) for one in (_children(entry) if inner else (entry,)) if one not in secrets)


def _children(folder: Path) -> list[Path]:
    try:
        return sorted(folder.iterdir())
    except OSError:
        return []
