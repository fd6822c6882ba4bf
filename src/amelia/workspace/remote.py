"""A repository elsewhere: what its branches are, and why git could not reach it."""

import re
from pathlib import Path

from ..errors import AmeliaError, Refused, Unavailable
from .address import check_url, without_secrets
from .credentials import credential
from .git import Git, outside
from .spawn import Exit

_PASSING = re.compile(
    r"could not resolve host|timed out|connection (reset|refused)|couldn't connect|failed to connect|early eof"
    r"|unexpected disconnect|remote end hung up|temporary failure|error: 5\d\d|error: 429|rpc failed"
    r"|network is unreachable|no route to host|connection closed by|kex_exchange_identification"
    r"|gnutls_handshake|non-properly terminated|ssl_error_syscall|ssl connect error|unexpected eof"
    r"|(recv|send) failure|empty reply from server|http/2 stream|curl (16|18|28|35|52|55|56|92) ",
    re.IGNORECASE,
)
_FINAL = re.compile(
    r"\b(?:HTTP|returned error:) (?:3\d\d|4(?!08|29)\d\d)\b|certificate verif(?:y|ication) failed", re.IGNORECASE
)
_MOVED = re.compile(r"\breturned error: 30[1278]\b|unable to update url base from redirection", re.IGNORECASE)

_HOLLOW = re.compile(
    r"fatal: could not read from remote repository|please make sure you have the correct access rights"
    r"|and the repository exists|to add an exception for this directory|git config --global",
    re.IGNORECASE,
)


class Remote:
    """``token`` is a credential for an https address; elsewhere it is left alone. Raises ``Refused`` for an address
    that git might misread."""

    def __init__(self, repository: str, token: str = "") -> None:
        self.url = check_url(repository)
        self.name = without_secrets(repository)
        protocols = "file" if self.url.startswith("file:") else "https:ssh"
        self._env = credential(repository, token) | {"GIT_ALLOW_PROTOCOL": protocols}
        self._vouched = bool(token)

    def __repr__(self) -> str:
        return f"Remote({self.name!r})"

    async def heads(self, folder: Path, *patterns: str) -> dict[str, str]:
        """The branches now: name to commit. Raises ``Refused`` or ``Unavailable``."""
        ended = await self.run(folder, "ls-remote", "--heads", "--", self.url, *patterns)
        if ended.code:
            raise self.error(f"cannot read {self.name}", ended)
        found = (line.split("\t", 1) for line in ended.output.decode(errors="replace").splitlines() if "\t" in line)
        return {name.removeprefix("refs/heads/"): commit for commit, name in found}

    async def head(self, folder: Path, branch: str) -> str:
        """The commit the branch is at now, "" when there is none. Raises ``Refused`` or ``Unavailable``."""
        return (await self.heads(folder, f"refs/heads/{branch}")).get(branch, "")

    async def fetch(self, git: Git, *refspecs: str, depth: int = 0, unshallow: bool = False) -> None:
        """Raises ``Refused`` or ``Unavailable``."""
        options = ["--unshallow"] if unshallow else [f"--depth={depth}"] if depth else []
        quietly = ("fetch", "--quiet", "--no-tags", "--no-auto-maintenance", "--no-recurse-submodules")
        arguments = (*quietly, *options, "--", self.url, *refspecs)
        ended = await git.attempt(*arguments, network=True, timeout=1200, env=self._env)
        if ended.code:
            raise self.error(f"cannot fetch from {self.name}", ended)

    async def push(self, git: Git, branch: str, commit: str, there: str) -> Exit:
        """Moves the branch from the commit ``there`` ("" when it is new) to ``commit`` ("" deletes it), or nothing."""
        ref = f"refs/heads/{branch}"
        arguments = ("push", "--quiet", "--no-verify", f"--force-with-lease={ref}:{there}", "--", self.url)
        return await git.attempt(*arguments, f"{commit}:{ref}", network=True, timeout=600, env=self._env)

    async def run(self, folder: Path, *arguments: str, timeout: float = 120) -> Exit:
        """git in a folder that is no repository."""
        return await outside(folder, *arguments, timeout=timeout, env=self._env)

    def error(self, doing: str, ended: Exit, reason: str = "") -> AmeliaError:
        kind = Unavailable if passing(ended) else Refused
        return kind(f"{doing}: {reason or self.reason(ended)}")

    def reason(self, ended: Exit) -> str:
        if ended.timed_out:
            return "git took too long"
        if self._vouched and _MOVED.search(ended.errors.decode(errors="replace")):
            return "it answers with a redirect, which a credential does not follow; name the repository's new address"
        return without_secrets(_telling(ended))


def _telling(ended: Exit) -> str:
    """The line that says why; git ends with lines that do not."""
    lines = [line.strip() for line in ended.errors.decode(errors="replace").splitlines()]
    said = [line for line in lines if line and not _HOLLOW.match(line)]
    fatal = [line for line in said if line.startswith("fatal:")]
    reason = (fatal or said or [ended.last_line])[-1]
    way_out = "; git config --global --add safe.directory makes an exception" if "dubious ownership" in reason else ""
    return reason + way_out


def passing(ended: Exit) -> bool:
    """Whether git failed for a reason that goes away: the network's or the server's."""
    said = ended.errors.decode(errors="replace")
    return ended.timed_out or bool(_PASSING.search(said) and not _FINAL.search(said))
