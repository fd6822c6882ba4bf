"""Jira's issues."""

from collections.abc import AsyncIterator, Mapping
from typing import Any

import msgspec

from ..adapters.jira import JiraClient, translate
from ..adapters.rest import Answer
from ..contract.workflow import Issue
from ..domain.neutral import elided
from ..errors import AmeliaError, NotFound, Refused
from .adf import markdown
from .adf_writing import document
from .composing import Remark, composed
from .reference import Places, recognised
from .tracker import Comment

_PAGES = 10
_PER_PAGE = 100
_MOST_CHARACTERS = 30_000
"""A comment may have 32,767."""


class _User(msgspec.Struct):
    accountId: str | None = None  # noqa: N815 - Jira's names
    displayName: str | None = None  # noqa: N815


class _Attachment(msgspec.Struct):
    id: str | int = ""
    filename: str = ""
    mimeType: str | None = None  # noqa: N815
    size: int | None = None
    mediaApiFileId: str | None = None  # noqa: N815


class _Fields(msgspec.Struct):
    summary: str | None = None
    description: Any = None
    labels: list[str] | None = None
    attachment: list[_Attachment] | None = None


class _Issue(msgspec.Struct):
    key: str
    fields: _Fields


class _Comment(msgspec.Struct):
    id: str | int = ""
    body: Any = None
    author: _User | None = None
    created: str = ""


class _Comments(msgspec.Struct):
    comments: list[_Comment] = []
    total: int = 0


class JiraTracker:
    """See ``Tracker``."""

    def __init__(self, client: JiraClient) -> None:
        self._client = client

    async def read(self, reference: str) -> Issue:
        key = self._key(reference)
        doing = f"reading the issue {key}"
        params = {"fields": "summary,description,labels,attachment"}
        answer = await self._client.request("GET", f"/issue/{key}", doing=doing, params=params)
        if answer.status != 200:
            raise self._error(answer, doing, "Browse Projects")
        issue = answer.read(_Issue, doing)
        files = issue.fields.attachment or []
        names = {file.mediaApiFileId: file.filename for file in files if file.mediaApiFileId}
        comments, left_out = await self._comments(issue.key, doing)
        return composed(
            id=issue.key,
            title=issue.fields.summary or "",
            body="\n\n".join(filter(None, (markdown(issue.fields.description, names), _attached(files)))),
            labels=issue.fields.labels or (),
            url=f"{self._client.base}/browse/{issue.key}",
            remarks=[
                Remark(by=(c.author and c.author.displayName) or "", at=c.created, text=markdown(c.body, names))
                for c in reversed(comments)
            ],
            left_out=left_out,
        )

    async def tell(self, reference: str, comment: Comment) -> str:
        key = self._key(reference)
        doing = f"commenting on the issue {key}"
        if not self._client.signed_in:
            raise Refused(
                f"{doing}: there is no credential for it; set JIRA_EMAIL and JIRA_API_TOKEN, or a bearer token"
            )
        sign = f"amelia {comment.key}"
        signed = [one async for one, _ in self._pages(key, doing) if sign in markdown(one.body)]
        if signed and (ours := await self._ours(signed, doing)):
            return self._address(key, ours[0])
        body = {"body": document(f"{elided(comment.text, _MOST_CHARACTERS)}\n\n`{sign}`")}
        answer = await self._client.request("POST", f"/issue/{key}/comment", doing=doing, data=body)
        if answer.status not in (200, 201):
            raise self._error(answer, doing, "Add Comments")
        return self._address(key, answer.read(_Comment, doing))

    async def _ours(self, signed: list[_Comment], doing: str) -> list[_Comment]:
        """Anybody may write what only we should. Where nothing is known of us, the mark has to do."""
        answer = await self._client.request("GET", "/myself", doing=doing)
        if answer.status in (403, 404):
            return signed
        if answer.status != 200:
            raise self._error(answer, doing, "Browse Projects")
        us = answer.read(_User, doing).accountId
        return [one for one in signed if not us or (one.author is not None and one.author.accountId == us)]

    async def _comments(self, key: str, doing: str) -> tuple[list[_Comment], int]:
        """The newest first, and how many older ones there are."""
        found = [one async for one in self._pages(key, doing)]
        total = max((total for _, total in found), default=0)
        return [comment for comment, _ in found], max(0, total - len(found))

    async def _pages(self, key: str, doing: str) -> AsyncIterator[tuple[_Comment, int]]:
        """Newest first, each with how many there are."""
        start = 0
        for _ in range(_PAGES):
            params: Mapping[str, str] = {
                "orderBy": "-created",
                "startAt": str(start),
                "maxResults": str(_PER_PAGE),
            }
            answer = await self._client.request("GET", f"/issue/{key}/comment", doing=doing, params=params)
            if answer.status != 200:
                raise self._error(answer, doing, "Browse Projects")
            page = answer.read(_Comments, doing)
            for one in page.comments:
                yield one, page.total
            start += len(page.comments)
            if not page.comments or start >= page.total:
                return

    def _key(self, reference: str) -> str:
        known = recognised(reference, "jira", Places(jira=self._client.base))
        if known is None or known.tracker != "jira":
            raise NotFound(f"{reference[:200]!r} is no issue of Jira; write its key as in PROJ-7, or its address")
        return known.issue

    def _address(self, key: str, comment: _Comment) -> str:
        return f"{self._client.base}/browse/{key}?focusedCommentId={comment.id}"

    def _error(self, answer: Answer, doing: str, permission: str) -> AmeliaError:
        """Jira hides what somebody who is not signed in may not see."""
        if answer.status in (403, 404) and not self._client.signed_in:
            return translate(answer, doing, "set JIRA_EMAIL and JIRA_API_TOKEN, or a bearer token, to sign in")
        return translate(answer, doing, f"give the account of the token the permission {permission} in that project")


def _attached(files: list[_Attachment]) -> str:
    if not files:
        return ""
    shown = "\n".join(f"- {file.filename} ({file.mimeType or 'file'}, {file.size or 0} bytes)" for file in files[:50])
    return f"Attachments:\n\n{shown}"
