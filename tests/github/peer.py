"""A small GitHub: repositories over git's own protocol, pull requests over REST, an App's tokens, and faults on order.

``python -m tests.github.peer --port 0 --root DIR --repository acme/shop --token NAME`` prints its port and serves until
SIGTERM. What it was told is in DIR, and so it is the same peer when it is started there again; the bare repository is
``DIR/repos/acme/shop.git``. Orders beside GitHub's own: POST ``/_peer/repositories``, ``/_peer/faults``,
``/_peer/tokens``; GET ``/_peer/requests``, ``/_peer/pulls``.
"""

import argparse
import asyncio
import base64
import contextlib
import re
import secrets
import signal
import ssl
import sys
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, NoReturn

import jwt
import msgspec
from aiohttp import web

from .backend import serve
from .issues import Issues
from .ledger import App, Fault, Grant, Ledger, Pull, Repository

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]
REPOSITORY = "/repos/{owner}/{name}"


class Peer:
    def __init__(self, root: Path) -> None:
        self.ledger = Ledger(root)

    def application(self) -> web.Application:
        app = web.Application(middlewares=[self._faulty, self._recorded], client_max_size=1 << 30)
        app.add_routes(
            [
                web.get(REPOSITORY, self._repository),
                web.get(f"{REPOSITORY}/pulls", self._list),
                web.post(f"{REPOSITORY}/pulls", self._create),
                web.patch(f"{REPOSITORY}/pulls/{{number}}", self._change),
                *Issues(self.ledger, self._allowed).routes(),
                web.get(f"{REPOSITORY}/installation", self._installation),
                web.post("/app/installations/{id}/access_tokens", self._token),
                web.post("/_peer/repositories", self._add_repository),
                web.post("/_peer/faults", self._add_fault),
                web.post("/_peer/tokens", self._add_token),
                web.get("/_peer/requests", self._requests),
                web.get("/_peer/pulls", self._pulls),
                web.route("*", "/{owner}/{name}.git/{rest:.+}", self._git),
            ]
        )
        return app

    @contextlib.asynccontextmanager
    async def listening(self, port: int = 0, tls: ssl.SSLContext | None = None) -> AsyncIterator[int]:
        """Yields its port on 127.0.0.1."""
        runner = web.AppRunner(self.application(), access_log=None, shutdown_timeout=0.1)
        await runner.setup()
        try:
            await web.TCPSite(runner, "127.0.0.1", port, ssl_context=tls).start()
            yield runner.addresses[0][1]
        finally:
            await runner.cleanup()

    @web.middleware
    async def _recorded(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        if not request.path.startswith("/_peer/"):
            is_json = request.content_type == "application/json"
            self.ledger.record(
                {
                    "method": request.method,
                    "path": request.path,
                    "query": dict(request.query),
                    "headers": dict(request.headers),
                    "body": await request.json() if is_json and request.can_read_body else None,
                }
            )
        return await handler(request)

    @web.middleware
    async def _faulty(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        fault = None if request.path.startswith("/_peer/") else self._due(request)
        if fault is None:
            return await handler(request)
        await asyncio.sleep(fault.seconds)
        if fault.after or not (fault.reset or fault.status):
            answer = await _answered(handler, request)
        else:
            await self._recorded(request, _nothing)
            answer = await _nothing(request)
        if fault.reset and request.transport is not None:
            request.transport.abort()
        if fault.status:
            return web.Response(status=fault.status, headers=fault.headers, text=fault.body)
        return answer

    def _due(self, request: web.Request) -> Fault | None:
        for fault in self.ledger.kept.faults:
            fits = re.search(fault.path, request.path_qs) and re.fullmatch(fault.method or ".*", request.method)
            if fault.times and fits:
                fault.times -= 1
                self.ledger.save()
                return fault
        return None

    async def _repository(self, request: web.Request) -> web.Response:
        return web.json_response(_repository(self._allowed(request, "metadata", "read")))

    async def _list(self, request: web.Request) -> web.Response:
        repository = self._allowed(request, "pull_requests", "read")
        owner, _, branch = request.query.get("head", "").partition(":")
        state, whose = request.query.get("state", "open"), repository.full_name.partition("/")[0]
        found = [p for p in self.ledger.pulls(repository.full_name) if state in ("all", p.state)]
        if branch:
            found = [p for p in found if p.head == branch and owner == whose]
        size, page = int(request.query.get("per_page", "30")), int(request.query.get("page", "1"))
        headers = {}
        if len(found) > size * page:
            headers["Link"] = f'<{request.url.update_query(page=page + 1)}>; rel="next"'
        shown = found[size * (page - 1) : size * page]
        return web.json_response([self._told(request, repository, p) for p in shown], headers=headers)

    async def _create(self, request: web.Request) -> web.Response:
        repository = self._allowed(request, "pull_requests", "write")
        asked = await request.json()
        pull = Pull(
            number=len(self.ledger.kept.pulls) + 1,
            repository=repository.full_name,
            head=asked["head"],
            base=asked["base"],
            title=asked["title"],
            body=asked.get("body") or "",
            draft=bool(asked.get("draft")),
            user="amelia[bot]",
        )
        if (wrong := self._wrong(repository, pull)) is not None:
            return web.json_response({"message": "Validation Failed", "errors": [wrong]}, status=422)
        self.ledger.kept.pulls.append(pull)
        self.ledger.save()
        return web.json_response(self._told(request, repository, pull), status=201)

    def _wrong(self, repository: Repository, pull: Pull) -> dict[str, str] | None:
        name, resource = repository.full_name, "PullRequest"
        for field, branch in (("base", pull.base), ("head", pull.head)):
            if not self.ledger.sha(name, branch):
                return {"resource": resource, "field": field, "code": "invalid"}
        if any(p.state == "open" and (p.head, p.base) == (pull.head, pull.base) for p in self.ledger.pulls(name)):
            told = f"A pull request already exists for {name.partition('/')[0]}:{pull.head}."
        elif not self.ledger.adds(name, pull.base, pull.head):
            told = f"No commits between {pull.base} and {pull.head}"
        elif pull.draft and not repository.drafts:
            told = "Draft pull requests are not supported in this repository."
        elif len(pull.body) > 65_536:
            told = "body is too long (maximum is 65536 characters)"
        elif len(pull.title) > 256 or not pull.title.strip():
            told = "title is too long (maximum is 256 characters)"
        else:
            return None
        return {"resource": resource, "code": "custom", "message": told}

    async def _change(self, request: web.Request) -> web.Response:
        repository = self._allowed(request, "pull_requests", "write")
        asked = await request.json()
        number = int(request.match_info["number"])
        pull = next((p for p in self.ledger.pulls(repository.full_name) if p.number == number), None)
        if pull is None:
            _refuse(404, "Not Found")
        for field in ("title", "body", "state"):
            setattr(pull, field, asked.get(field, getattr(pull, field)))
        self.ledger.save()
        return web.json_response(self._told(request, repository, pull))

    async def _installation(self, request: web.Request) -> web.Response:
        app = self._app(request)
        if _name(request) not in self.ledger.kept.repositories:
            _refuse(404, "Not Found")
        return web.json_response({"id": app.installation, "permissions": app.permissions})

    async def _token(self, request: web.Request) -> web.Response:
        app, asked = self._app(request), await request.json()
        if int(request.match_info["id"]) != app.installation:
            _refuse(404, "Not Found")
        for name, level in asked["permissions"].items():
            if app.permissions.get(name) not in (level, "write"):
                _refuse(422, "The permissions requested are not granted to this installation.")
        known = {full.partition("/")[2]: full for full in self.ledger.kept.repositories}
        if not known.keys() >= set(asked["repositories"]):
            _refuse(422, "There is at least one repository that does not exist or is not accessible")
        token, end = f"ghs_{secrets.token_hex(18)}", time.time() + 3600
        covered = [known[name] for name in asked["repositories"]]
        self.ledger.kept.tokens[token] = Grant(asked["permissions"], covered, end)
        self.ledger.save()
        expires = datetime.fromtimestamp(end, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
        return web.json_response({"token": token, "expires_at": expires}, status=201)

    def _app(self, request: web.Request) -> App:
        app, said = self.ledger.kept.app, _bearer(request)
        try:
            claims = jwt.decode(said, app.public_key if app else "", ["RS256"], options={"require": ["exp", "iat"]})
        except (jwt.PyJWTError, ValueError, TypeError):
            _refuse(401, "A JSON web token could not be decoded")
        if app is None or claims["iss"] != app.id or claims["exp"] - time.time() > 600:
            _refuse(401, "'Expiration time' claim ('exp') is too far in the future")
        return app

    async def _git(self, request: web.Request) -> web.Response:
        name, rest = _name(request), request.match_info["rest"]
        if moved := self.ledger.kept.renamed.get(name):
            query = f"?{request.query_string}" if request.query_string else ""
            raise web.HTTPMovedPermanently(f"/{moved}.git/{rest}{query}")
        level = "write" if "git-receive-pack" in (request.query.get("service", ""), rest) else "read"
        grant = self.ledger.granted(_bearer(request))
        if grant is None:
            raise web.HTTPUnauthorized(headers={"WWW-Authenticate": 'Basic realm="GitHub"'})
        if name not in self.ledger.kept.repositories or not grant.covers(name):
            _refuse(404, "Repository not found.")
        if not grant.allows(name, "contents", level):
            _refuse(403, f"Permission to {name} denied.")
        return await serve(request, self.ledger.root / "repos", f"/{name}.git/{rest}", "amelia[bot]")

    async def _add_repository(self, request: web.Request) -> web.Response:
        asked = await request.json()
        bare = self.ledger.add_repository(asked["full_name"], source=asked.get("source", ""))
        return web.json_response({"bare": str(bare)}, status=201)

    async def _add_fault(self, request: web.Request) -> web.Response:
        self.ledger.fail(msgspec.json.decode(await request.read(), type=Fault))
        return web.json_response({}, status=201)

    async def _add_token(self, request: web.Request) -> web.Response:
        asked = await request.json()
        self.ledger.grant(asked["token"], asked.get("repositories"), **asked.get("permissions", {}))
        return web.json_response({}, status=201)

    async def _requests(self, request: web.Request) -> web.Response:
        return web.json_response(self.ledger.requests())

    async def _pulls(self, request: web.Request) -> web.Response:
        """Of all repositories, with the commit that each one's branch is at."""
        names = list(self.ledger.kept.repositories)
        found = [pull for name in names for pull in self.ledger.pulls(name)]
        told = [{**msgspec.to_builtins(p), "sha": self.ledger.sha(p.repository, p.head)} for p in found]
        return web.json_response(told)

    def _allowed(self, request: web.Request, permission: str, level: str) -> Repository:
        name, kept = _name(request), self.ledger.kept
        grant = self.ledger.granted(_bearer(request))
        if grant is None:
            _refuse(401, "Bad credentials")
        if name in kept.renamed:
            moved = request.path_qs.replace(f"/repos/{name}", f"/repos/{kept.renamed[name]}", 1)
            kind = web.HTTPMovedPermanently if request.method == "GET" else web.HTTPTemporaryRedirect
            raise kind(str(request.url.origin()) + moved)
        if name not in kept.repositories or not grant.covers(name):
            _refuse(404, "Not Found")
        if permission != "metadata" and not grant.allows(name, permission, level):
            needed = {"X-Accepted-GitHub-Permissions": f"{permission}={level}"}
            _refuse(403, "Resource not accessible by integration", needed)
        return kept.repositories[name]

    def _told(self, request: web.Request, repository: Repository, pull: Pull) -> dict[str, Any]:
        name = repository.full_name
        owner = name.partition("/")[0]
        return {
            "number": pull.number,
            "html_url": f"{request.url.origin()}/{name}/pull/{pull.number}",
            "state": pull.state,
            "title": pull.title,
            "body": pull.body or None,
            "draft": pull.draft,
            "merged_at": "2026-01-01T00:00:00Z" if pull.merged else None,
            "user": {"login": pull.user},
            "head": {
                "ref": pull.head,
                "label": f"{owner}:{pull.head}",
                "sha": self.ledger.sha(name, pull.head),
                "repo": _repository(repository),
            },
            "base": {"ref": pull.base, "repo": _repository(repository)},
        }


def _repository(repository: Repository) -> dict[str, Any]:
    return {"full_name": repository.full_name, "default_branch": repository.default_branch, "private": True}


def _name(request: web.Request) -> str:
    return f"{request.match_info['owner']}/{request.match_info['name']}"


def _bearer(request: web.Request) -> str:
    """The token of an API's request, the password of git's."""
    kind, _, said = request.headers.get("Authorization", "").partition(" ")
    if kind.lower() != "basic":
        return said
    return base64.b64decode(said).decode().partition(":")[2]


def _refuse(status: int, message: str, headers: dict[str, str] | None = None) -> NoReturn:
    kind = {401: web.HTTPUnauthorized, 403: web.HTTPForbidden, 404: web.HTTPNotFound, 422: web.HTTPUnprocessableEntity}
    text = msgspec.json.encode({"message": message}).decode()
    raise kind[status](text=text, content_type="application/json", headers=headers)


async def _answered(handler: Handler, request: web.Request) -> web.StreamResponse:
    try:
        return await handler(request)
    except web.HTTPException as answer:
        return web.Response(status=answer.status, headers=answer.headers, text=answer.text)


async def _nothing(request: web.Request) -> web.StreamResponse:
    return web.Response(status=500)


async def _main(argv: list[str]) -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--port", type=int, default=0)
    parser.add_argument("--root", type=Path, required=True)
    parser.add_argument("--token", action="append", default=[])
    parser.add_argument("--repository", action="append", default=[], help="acme/shop or acme/shop=SOURCE")
    asked = parser.parse_args(argv)
    peer, stop = Peer(asked.root), asyncio.Event()
    for token in asked.token:
        peer.ledger.grant(token)
    for repository in asked.repository:
        name, _, source = repository.partition("=")
        peer.ledger.add_repository(name, source=source)
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    async with peer.listening(asked.port) as port:
        print(port, flush=True)
        await stop.wait()


if __name__ == "__main__":
    asyncio.run(_main(sys.argv[1:]))
