"""GitHub's issues."""

from collections.abc import AsyncIterator, Mapping
from typing import Any, Protocol

import msgspec

from ..adapters.github.client import Answer, Client, translate
from ..contract.workflow import Issue
from ..domain.report import marked, marker
from ..errors import AmeliaError, NotFound, Refused
from .composing import Remark, composed
from .reference import Places, recognised
from .tracker import Comment

_PAGES = 10
_PER_PAGE = "100"


class Credentials(Protocol):
    async def issues(self, repository: str, *, write: bool) -> str:
        """A token; "" when there is none."""
        ...

    def forget(self, token: str) -> None: ...


class _User(msgspec.Struct):
    login: str = ""
    type: str = ""


class _Label(msgspec.Struct):
    name: str | None = None


class _Issue(msgspec.Struct):
    number: int
    title: str
    html_url: str = ""
    body: str | None = None
    labels: list[_Label | str] = []
    comments: int = 0


class _Comment(msgspec.Struct):
    html_url: str = ""
    body: str | None = None
    user: _User | None = None
    created_at: str = ""


class GitHubTracker:
    """See ``Tracker``. What is public can be read without a credential."""

    def __init__(self, client: Client, credentials: Credentials) -> None:
        self._client = client
        self._credentials = credentials
        self._places = Places(github=client.site.web)

    async def read(self, reference: str) -> Issue:
        name, number = self._split(reference)
        doing = f"reading the issue {name}#{number}"
        answer = await self._ask("GET", name, f"/issues/{number}", doing)
        if answer.status != 200:
            raise _error(answer, name, doing, "read")
        issue = answer.read(_Issue, doing)
        known = recognised(issue.html_url, "github", self._places) if issue.html_url else None
        name, number = self._split(known.issue) if known else (name, number)
        comments, left_out = await self._comments(name, number, issue.comments, doing)
        return composed(
            id=f"{name}#{number}",
            title=issue.title,
            body=issue.body or "",
            labels=[label if isinstance(label, str) else label.name or "" for label in issue.labels],
            url=issue.html_url,
            remarks=[
                Remark(by=c.user.login if c.user else "ghost", at=c.created_at, text=c.body or "") for c in comments
            ],
            left_out=left_out,
        )

    async def tell(self, reference: str, comment: Comment) -> str:
        name, number = self._split(reference)
        doing = f"commenting on the issue {name}#{number}"
        if (there := await self._there(name, number, comment, doing)) is not None:
            return there
        body = {"body": marked(comment.text, comment.key)}
        answer = await self._ask("POST", name, f"/issues/{number}/comments", doing, write=True, data=body)
        if answer.status != 201:
            raise _error(answer, name, doing, "write")
        return answer.read(_Comment, doing).html_url

    async def _there(self, name: str, number: str, comment: Comment, doing: str) -> str | None:
        params = {"per_page": _PER_PAGE, **({"since": f"{comment.since[:19]}Z"} if comment.since else {})}
        mark, pages = marker(comment.key), self._pages(name, number, params, doing, write=True)
        signed = [one async for one in pages if mark in (one.body or "")]
        ours = await self._ours(signed, name, doing) if signed else []
        return ours[0].html_url if ours else None

    async def _ours(self, signed: list[_Comment], name: str, doing: str) -> list[_Comment]:
        """Anybody may write what only we should. GitHub does not tell an App who it is, but it is no person; where
        nothing is known, the mark has to do."""
        answer = await self._ask("GET", name, f"{self._client.site.api}/user", doing, write=True)
        if answer.status == 200:
            us = answer.read(_User, doing).login
            return [one for one in signed if one.user is not None and one.user.login == us]
        if answer.status not in (403, 404):
            raise _error(answer, name, doing, "write")
        return [one for one in signed if one.user is None or one.user.type != "User"]

    async def _comments(self, name: str, number: str, count: int, doing: str) -> tuple[list[_Comment], int]:
        """The newest, and how many older ones there are."""
        first = max(1, -(-count // int(_PER_PAGE)) - _PAGES + 1)
        params = {"per_page": _PER_PAGE, "page": str(first)}
        found = [one async for one in self._pages(name, number, params, doing)] if count else []
        return found, (first - 1) * int(_PER_PAGE)

    async def _pages(
        self, name: str, number: str, params: Mapping[str, str], doing: str, write: bool = False
    ) -> AsyncIterator[_Comment]:
        path, query = f"/issues/{number}/comments", dict(params) or None
        for _ in range(_PAGES):
            answer = await self._ask("GET", name, path, doing, write=write, params=query)
            if answer.status != 200:
                raise _error(answer, name, doing, "read")
            for one in answer.read(list[_Comment], doing):
                yield one
            path, query = answer.next, None
            if not path.startswith(f"{self._client.site.api}/"):
                return

    def _split(self, reference: str) -> tuple[str, str]:
        known = recognised(reference, "github", self._places)
        if known is None or known.tracker != "github":
            raise NotFound(f"{reference[:200]!r} is no issue of GitHub; write owner/repository#123, or its address")
        name, _, number = known.issue.partition("#")
        return name, number

    async def _ask(
        self,
        method: str,
        name: str,
        path: str,
        doing: str,
        *,
        write: bool = False,
        params: Mapping[str, str] | None = None,
        data: Mapping[str, Any] | None = None,
    ) -> Answer:
        """A token that was revoked before its time is replaced once."""
        address = f"{self._client.site.web}{name}"
        target = path if path.startswith(f"{self._client.site.api}/") else f"/repos/{name}{path}"
        for last in (False, True):
            token = await self._credentials.issues(address, write=write)
            if write and not token:
                raise Refused(f"{doing}: there is no credential for it; set a GitHub token or a GitHub App")
            answer = await self._client.request(method, target, token=token, doing=doing, params=params, data=data)
            if answer.status != 401 or last or not token:
                break
            self._credentials.forget(token)
            if await self._credentials.issues(address, write=write) == token:
                break
        return answer


def _error(answer: Answer, name: str, doing: str, level: str) -> AmeliaError:
    if answer.status == 410:
        return NotFound(f"{doing}: GitHub says that it was deleted or that {name} has no issues; give another one")
    return translate(answer, doing, f"give a token or the GitHub App access to {name} with issues: {level}")
