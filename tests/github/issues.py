"""The peer's issues and their comments."""

from collections.abc import Callable
from typing import Any, NoReturn

from aiohttp import web

from .ledger import Comment, Issue, Ledger, Repository

_ISSUE = "/repos/{owner}/{name}/issues/{number}"


class Issues:
    """``allowed`` checks the token of a request, and gives the repository."""

    def __init__(self, ledger: Ledger, allowed: Callable[[web.Request, str, str], Repository]) -> None:
        self._ledger = ledger
        self._allowed = allowed

    def routes(self) -> list[web.RouteDef]:
        return [
            web.get(_ISSUE, self._show),
            web.get(f"{_ISSUE}/comments", self._list),
            web.post(f"{_ISSUE}/comments", self._add),
        ]

    async def _show(self, request: web.Request) -> web.Response:
        issue = self._issue(request, "read")
        if issue.moved:
            name, _, number = issue.moved.partition("#")
            raise web.HTTPMovedPermanently(f"{request.url.origin()}/repos/{name}/issues/{number}")
        told = {
            "number": issue.number,
            "title": issue.title,
            "body": issue.body,
            "state": "open",
            "labels": [{"id": 1, "name": label} for label in issue.labels],
            "user": {"login": issue.user},
            "html_url": f"{_web(request)}/{issue.repository}/issues/{issue.number}",
            "comments": len(self._comments(issue)),
        }
        return web.json_response(told)

    async def _list(self, request: web.Request) -> web.Response:
        issue = self._issue(request, "read")
        since = request.query.get("since", "")
        found = [comment for comment in self._comments(issue) if comment.created_at >= since]
        size, page = int(request.query.get("per_page", "30")), int(request.query.get("page", "1"))
        headers = {}
        if len(found) > size * page:
            headers["Link"] = f'<{request.url.update_query(page=page + 1)}>; rel="next"'
        return web.json_response(
            [_told(request, one) for one in found[size * (page - 1) : size * page]], headers=headers
        )

    async def _add(self, request: web.Request) -> web.Response:
        issue = self._issue(request, "write")
        body = (await request.json()).get("body") or ""
        if not body.strip() or len(body) > 65_536:
            wrong = {"resource": "IssueComment", "field": "body", "code": "custom", "message": "body is too long"}
            return web.json_response({"message": "Validation Failed", "errors": [wrong]}, status=422)
        told = {"created_at": "2099-01-01T00:00:00Z"}
        return web.json_response(
            _told(request, self._ledger.add_comment(issue.repository, issue.number, body, **told)), status=201
        )

    def _issue(self, request: web.Request, level: str) -> Issue:
        name = f"{request.match_info['owner']}/{request.match_info['name']}"
        repository = self._ledger.kept.repositories.get(name)
        if not (repository and repository.public and level == "read" and "Authorization" not in request.headers):
            if "Authorization" not in request.headers:
                _refuse(web.HTTPNotFound, "Not Found")
            self._allowed(request, "issues", level)
        number = int(request.match_info["number"])
        found = [x for x in self._ledger.kept.issues if (x.repository, x.number) == (name, number)]
        if not found:
            _refuse(web.HTTPNotFound, "Not Found")
        if found[0].gone:
            _refuse(web.HTTPGone, "This issue was deleted")
        return found[0]

    def _comments(self, issue: Issue) -> list[Comment]:
        return self._ledger.comments(issue.repository, issue.number)


def _told(request: web.Request, comment: Comment) -> dict[str, Any]:
    address = f"{_web(request)}/{comment.repository}/issues/{comment.issue}#issuecomment-{comment.id}"
    return {
        "id": comment.id,
        "body": comment.body,
        "user": {"login": comment.user},
        "created_at": comment.created_at,
        "html_url": address,
    }


def _web(request: web.Request) -> str:
    return request.headers.get("X-Peer-Web", str(request.url.origin()))


def _refuse(kind: type[web.HTTPException], message: str) -> NoReturn:
    raise kind(text=f'{{"message": "{message}"}}', content_type="application/json")
