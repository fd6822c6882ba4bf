"""A small Jira: issues and comments of the REST API's third version, accounts, and faults on order."""

import base64
import contextlib
from collections.abc import AsyncIterator
from typing import Any

import msgspec
from aiohttp import web

EMAIL, TOKEN = "ada@example.com", "jira-token-0123456789"
_ISSUE = "/jira/rest/api/3/issue/{key}"


class Fault(msgspec.Struct):
    """For the next ``times`` requests of the method. ``after``: the request has its effect all the same."""

    method: str
    status: int
    times: int = 1
    after: bool = False
    headers: dict[str, str] = {}
    body: str = ""


class JiraPeer:
    """``issues`` by their keys are the fields that Jira would answer with. Its address has a path, as some have."""

    def __init__(self) -> None:
        self.issues: dict[str, dict[str, Any]] = {}
        self.comments: dict[str, list[dict[str, Any]]] = {}
        self.faults: list[Fault] = []
        self.requests: list[tuple[str, str, dict[str, Any] | None]] = []
        self.accounts = {_basic(EMAIL, TOKEN), "Bearer pat-0123456789"}
        self.url = ""

    def add(self, key: str, **fields: Any) -> None:
        self.issues[key] = {"summary": key, "description": None, "labels": [], "attachment": [], **fields}
        self.comments[key] = []

    def comment(self, key: str, body: Any, by: str = "Ada", created: str = "2026-01-02T03:04:05.000+0000") -> None:
        there = self.comments[key]
        author = {"accountId": by, "displayName": by}
        there.append({"id": str(10_000 + len(there)), "author": author, "body": body, "created": created})

    @contextlib.asynccontextmanager
    async def listening(self) -> AsyncIterator["JiraPeer"]:
        app = web.Application(middlewares=[self._guarded])
        app.add_routes([web.get(_ISSUE, self._show), web.get(f"{_ISSUE}/comment", self._list)])
        app.add_routes([web.post(f"{_ISSUE}/comment", self._add), web.get("/jira/rest/api/3/myself", self._myself)])
        runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1)
        await runner.setup()
        try:
            await web.TCPSite(runner, "127.0.0.1", 0).start()
            self.url = f"http://127.0.0.1:{runner.addresses[0][1]}/jira"
            yield self
        finally:
            await runner.cleanup()

    @web.middleware
    async def _guarded(self, request: web.Request, handler: Any) -> web.StreamResponse:
        body = await request.json() if request.can_read_body else None
        self.requests.append((request.method, request.path_qs, body))
        fault = next((f for f in self.faults if f.method == request.method and f.times), None)
        if fault is not None:
            fault.times -= 1
            if fault.after:
                await handler(request)
            return web.Response(status=fault.status, headers=fault.headers, text=fault.body)
        who = request.headers.get("Authorization", "")
        if who and who not in self.accounts:
            return web.Response(status=401, text="Client must be authenticated to access this resource.")
        if not who or request.match_info.get("key", next(iter(self.issues), "")) not in self.issues:
            said = "Issue does not exist or you do not have permission to see it."
            return web.json_response({"errorMessages": [said], "errors": {}}, status=404)
        answered: web.StreamResponse = await handler(request)
        return answered

    async def _myself(self, request: web.Request) -> web.Response:
        return web.json_response({"accountId": "Amelia", "displayName": "Amelia"})

    async def _show(self, request: web.Request) -> web.Response:
        key = request.match_info["key"]
        return web.json_response({"id": "1", "key": key, "self": f"{self.url}/1", "fields": self.issues[key]})

    async def _list(self, request: web.Request) -> web.Response:
        there = self.comments[request.match_info["key"]]
        if request.query.get("orderBy") == "-created":
            there = there[::-1]
        start, most = int(request.query.get("startAt", "0")), min(int(request.query.get("maxResults", "50")), 100)
        told = {"startAt": start, "maxResults": most, "total": len(there), "comments": there[start : start + most]}
        return web.json_response(told)

    async def _add(self, request: web.Request) -> web.Response:
        key, body = request.match_info["key"], (await request.json()).get("body")
        if not _is_document(body):
            wrong = {"comment": "Comment body is not valid!"}
            return web.json_response({"errorMessages": [], "errors": wrong}, status=400)
        self.comment(key, body, by="Amelia")
        return web.json_response(self.comments[key][-1], status=201)


def _is_document(body: Any) -> bool:
    """What Jira refuses: no document, text that is empty, blocks among inlines."""
    if not isinstance(body, dict) or (body.get("type"), body.get("version")) != ("doc", 1) or not body.get("content"):
        return False
    return all(_is_block(block) for block in body["content"])


def _is_block(block: dict[str, Any]) -> bool:
    if block["type"] == "paragraph":
        return all(x["type"] == "hardBreak" or (x["type"] == "text" and bool(x["text"])) for x in block["content"])
    items = block["content"]
    return bool(block["type"] == "bulletList" and items) and all(
        item["type"] == "listItem" and all(_is_block(inner) for inner in item["content"]) for item in items
    )


def _basic(email: str, token: str) -> str:
    return "Basic " + base64.b64encode(f"{email}:{token}".encode()).decode()
