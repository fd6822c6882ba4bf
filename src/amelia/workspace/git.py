"""git as a subprocess that trusts neither the repository nor what an agent wrote into its configuration."""

import os
from collections.abc import Mapping
from pathlib import Path

from ..errors import Refused
from .spawn import Exit, spawn
from .trusted import trusted_for, without_links

_HARDENED = {
    "core.hooksPath": "/dev/null",
    "core.fsmonitor": "false",
    "core.pager": "cat",
    "core.attributesFile": "/dev/null",
    "core.quotePath": "false",
    "core.logAllRefUpdates": "false",
    "core.alternateRefsCommand": "true",
    "commit.gpgSign": "false",
    "push.gpgSign": "false",
    "push.followTags": "false",
    "log.showSignature": "false",
    "gc.auto": "0",
    "maintenance.auto": "false",
    "init.templateDir": "",
    "init.defaultRefFormat": "files",
    "clone.defaultRemoteName": "origin",
    "clone.rejectShallow": "false",
    "protocol.ext.allow": "never",
    "safe.bareRepository": "explicit",
    "diff.ignoreSubmodules": "dirty",
    "submodule.recurse": "false",
    "fetch.recurseSubmodules": "false",
    "push.recurseSubmodules": "no",
}
_FLAGS = tuple(part for name, value in _HARDENED.items() for part in ("-c", f"{name}={value}"))
_IDENTITY = {
    "GIT_AUTHOR_NAME": "Amelia",
    "GIT_AUTHOR_EMAIL": "amelia@users.noreply.invalid",
    "GIT_COMMITTER_NAME": "Amelia",
    "GIT_COMMITTER_EMAIL": "amelia@users.noreply.invalid",
}
_NETWORK = frozenset(
    (
        "HOME",
        "XDG_CONFIG_HOME",
        "USER",
        "SSH_AUTH_SOCK",
        "SSH_ASKPASS",
        "GIT_ASKPASS",
        "GIT_SSH_COMMAND",
        "GIT_SSL_CAINFO",
        "SSL_CERT_FILE",
        "SSL_CERT_DIR",
        "HTTPS_PROXY",
        "https_proxy",
        "NO_PROXY",
        "no_proxy",
        "ALL_PROXY",
        "all_proxy",
        "GIT_CONFIG_COUNT",
    )
)
_CONFIG = ("GIT_CONFIG_KEY_", "GIT_CONFIG_VALUE_")
"""What a clone or a push may need of the caller's environment: its credentials and its proxy."""


def environment(*, network: bool) -> dict[str, str]:
    env = {
        "PATH": os.environ.get("PATH", os.defpath),
        "LC_ALL": "C.UTF-8",
        "GIT_TERMINAL_PROMPT": "0",
        "GIT_CONFIG_NOSYSTEM": "1",
        "GIT_ATTR_NOSYSTEM": "1",
        "GIT_NO_REPLACE_OBJECTS": "1",
        "GIT_NO_LAZY_FETCH": "1",
        "GIT_ALLOW_PROTOCOL": "https:ssh:file" if network else "file",
        "GIT_OPTIONAL_LOCKS": "0",
        **_IDENTITY,
    }
    if not network:
        return env | {"HOME": "/nonexistent", "GIT_CONFIG_GLOBAL": "/dev/null"}
    passed = {k: v for k, v in os.environ.items() if k in _NETWORK or k.startswith(_CONFIG)}
    return env | passed | {"GIT_SSH_COMMAND": passed.get("GIT_SSH_COMMAND", "ssh -oBatchMode=yes")}


class Git:
    """One repository. ``git_dir`` and ``work_tree`` are always named, never discovered; see also ``outside``. What a
    repository that agents work in has for its configuration is not read (see ``trusted``)."""

    def __init__(self, git_dir: Path, work_tree: Path | None = None) -> None:
        self.git_dir = git_dir
        self.work_tree = work_tree

    async def attempt(
        self,
        *arguments: str,
        network: bool = False,
        stdin: bytes | None = None,
        timeout: float = 120,
        env: Mapping[str, str] | None = None,
    ) -> Exit:
        """Whatever the exit code is. What goes over the network ends with this process, even when that is killed."""
        full = environment(network=network) | {"GIT_DIR": str(self.git_dir)} | dict(env or {})
        if self.work_tree is not None:
            full["GIT_WORK_TREE"] = str(self.work_tree)
        if (trusted := trusted_for(self.git_dir)) is not None:
            full["GIT_COMMON_DIR"] = str(trusted)
            without_links(self.git_dir)
        cwd = self.work_tree or self.git_dir
        command = ["git", *_FLAGS, *arguments]
        return await spawn(command, cwd=cwd, env=full, timeout=timeout, stdin=stdin, tied=network)

    async def __call__(self, *words: str, stdin: bytes | None = None, env: Mapping[str, str] | None = None) -> bytes:
        """Raises ``Refused`` with git's last line when it does not exit 0."""
        ended = await self.attempt(*words, stdin=stdin, env=env)
        if ended.code:
            raise Refused(f"git {words[0]} failed in {self.git_dir.name}: {ended.last_line}")
        return ended.output

    async def line(self, *arguments: str) -> str:
        return (await self(*arguments)).decode(errors="replace").strip()


async def outside(folder: Path, *arguments: str, timeout: float = 120, env: Mapping[str, str] | None = None) -> Exit:
    """git over the network in a folder that is no repository, and does not look for one above it."""
    full = environment(network=True) | {"GIT_CEILING_DIRECTORIES": str(folder.parent)} | dict(env or {})
    return await spawn(["git", *_FLAGS, *arguments], cwd=folder, env=full, timeout=timeout, tied=True)
