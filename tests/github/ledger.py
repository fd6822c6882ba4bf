"""What the peer remembers: in a file, so that it is the same peer after a restart."""

import json
import subprocess
import time
from pathlib import Path
from typing import Any

import msgspec

_SEED = b"""commit refs/heads/%s
committer peer <peer@peer.invalid> 1700000000 +0000
data 5
first
M 100644 inline README.md
data 7
# shop

"""


class Repository(msgspec.Struct):
    full_name: str
    default_branch: str = "main"
    drafts: bool = True
    public: bool = False


class Pull(msgspec.Struct):
    number: int
    repository: str
    head: str
    base: str
    title: str
    body: str = ""
    draft: bool = False
    state: str = "open"
    merged: bool = False
    user: str = ""


class Comment(msgspec.Struct):
    id: int
    issue: int
    repository: str
    body: str
    user: str = "amelia[bot]"
    created_at: str = "2026-01-02T03:04:05Z"


class Issue(msgspec.Struct):
    """``moved`` is the issue that this one was transferred to, as ``owner/name#7``; ``gone`` when it was deleted."""

    number: int
    repository: str
    title: str
    body: str | None = None
    labels: list[str] = []
    user: str = "ada"
    moved: str = ""
    gone: bool = False


class Grant(msgspec.Struct):
    """``repositories`` None means all of them. ``expires_at`` is a Unix time."""

    permissions: dict[str, str]
    repositories: list[str] | None = None
    expires_at: float = 4_000_000_000

    def allows(self, repository: str, permission: str, level: str) -> bool:
        granted = self.permissions.get(permission, "")
        return self.covers(repository) and (granted == level or granted == "write")

    def covers(self, repository: str) -> bool:
        return self.repositories is None or repository in self.repositories


class Fault(msgspec.Struct):
    """For the next ``times`` requests whose method and path (regular expressions) fit. In this order: waits, carries
    the request out if ``after``, cuts the connection if ``reset``, answers ``status`` if it is not 0."""

    path: str = ""
    method: str = ""
    times: int = 1
    seconds: float = 0
    after: bool = False
    reset: bool = False
    status: int = 0
    headers: dict[str, str] = {}
    body: str = '{"message": "a fault"}'


class App(msgspec.Struct):
    id: str
    public_key: str
    installation: int = 77
    permissions: dict[str, str] = msgspec.field(
        default_factory=lambda: {"contents": "write", "pull_requests": "write", "issues": "write"}
    )


class Kept(msgspec.Struct):
    repositories: dict[str, Repository] = {}
    renamed: dict[str, str] = {}
    pulls: list[Pull] = []
    issues: list[Issue] = []
    comments: list[Comment] = []
    tokens: dict[str, Grant] = {}
    faults: list[Fault] = []
    app: App | None = None


class Ledger:
    """Saved before every answer, so that what was answered is not forgotten."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self._file = root / "peer.json"
        self._requests = root / "requests.jsonl"
        root.mkdir(parents=True, exist_ok=True)
        self.kept = msgspec.json.decode(self._file.read_bytes(), type=Kept) if self._file.exists() else Kept()

    def save(self) -> None:
        new = self._file.with_suffix(".new")
        new.write_bytes(msgspec.json.encode(self.kept))
        new.replace(self._file)

    def record(self, said: dict[str, Any]) -> None:
        with self._requests.open("a") as file:
            file.write(json.dumps(said) + "\n")

    def requests(self) -> list[dict[str, Any]]:
        return [json.loads(line) for line in self._requests.read_text().splitlines()] if self._requests.exists() else []

    def bare(self, full_name: str) -> Path:
        return self.root / "repos" / f"{full_name}.git"

    def add_repository(self, full_name: str, *, source: str = "", default_branch: str = "main") -> Path:
        """A copy of ``source`` (git's address of it), or a new one with a single commit. Again is nothing."""
        bare = self.bare(full_name)
        if not bare.exists():
            bare.parent.mkdir(parents=True, exist_ok=True)
            if source:
                _git("clone", "-q", "--bare", source, str(bare))
            else:
                _git("init", "-q", "--bare", "-b", default_branch, str(bare))
                _git("-C", str(bare), "fast-import", "--quiet", stdin=_SEED % default_branch.encode())
        self.kept.repositories.setdefault(full_name, Repository(full_name, default_branch))
        self.save()
        return bare

    def grant(self, token: str, repositories: list[str] | None = None, **permissions: str) -> str:
        """Everything to everywhere, unless it is said."""
        wide = {"contents": "write", "pull_requests": "write", "issues": "write"}
        self.kept.tokens[token] = Grant(permissions=permissions or wide, repositories=repositories)
        self.save()
        return token

    def fail(self, fault: Fault) -> None:
        self.kept.faults.append(fault)
        self.save()

    def granted(self, token: str) -> Grant | None:
        grant = self.kept.tokens.get(token)
        return grant if grant is not None and grant.expires_at > time.time() else None

    def add_issue(self, full_name: str, number: int, title: str, body: str | None = None, **told: Any) -> Issue:
        issue = Issue(number=number, repository=full_name, title=title, body=body, **told)
        self.kept.issues.append(issue)
        self.save()
        return issue

    def add_comment(self, full_name: str, number: int, body: str, **told: Any) -> Comment:
        comment = Comment(id=len(self.kept.comments) + 1, issue=number, repository=full_name, body=body, **told)
        self.kept.comments.append(comment)
        self.save()
        return comment

    def comments(self, full_name: str, number: int) -> list[Comment]:
        """Oldest first."""
        return [c for c in self.kept.comments if (c.repository, c.issue) == (full_name, number)]

    def sha(self, full_name: str, branch: str) -> str:
        """ "" when there is no such branch."""
        return _git("-C", str(self.bare(full_name)), "rev-parse", "--verify", "-q", f"refs/heads/{branch}", check=False)

    def adds(self, full_name: str, base: str, head: str) -> bool:
        counted = _git("-C", str(self.bare(full_name)), "rev-list", "--count", f"{base}..{head}", check=False)
        return counted not in ("", "0")

    def pulls(self, full_name: str) -> list[Pull]:
        """Newest first. One whose branch is gone has been closed."""
        found = [pull for pull in self.kept.pulls if pull.repository == full_name]
        for pull in found:
            if pull.state == "open" and not self.sha(full_name, pull.head):
                pull.state = "closed"
        return found[::-1]


def _git(*arguments: str, stdin: bytes | None = None, check: bool = True) -> str:
    done = subprocess.run(["git", *arguments], input=stdin, capture_output=True)
    if check and done.returncode:
        raise RuntimeError(done.stderr.decode())
    return done.stdout.decode().strip() if done.returncode == 0 else ""
