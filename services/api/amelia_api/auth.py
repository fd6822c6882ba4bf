"""Who asks: on a laptop, whoever can read the token in the state directory, as Jupyter does it."""

import hmac
from typing import Any, cast
from urllib.parse import parse_qs

from litestar import Request
from litestar.datastructures import Headers, State
from litestar.enums import ScopeType
from litestar.middleware import ASGIMiddleware
from litestar.types import ASGIApp, Message, Receive, Scope, Send

from amelia.errors import Unauthorised

from . import problems

COOKIE = "amelia_token"
_OPEN = ("/api/v1/health/",)
_ANSWER = "websocket.http.response"
"""Of a server that can answer a handshake as any other request."""
HOW = "send the token as 'Authorization: Bearer …'; on a laptop it is in the file 'token' of the state directory"


class TokenMiddleware(ASGIMiddleware):
    """Accepts the token as a bearer, as ``?token=`` (which sets a cookie, for browsers), or as that cookie.

    A cookie counts only for requests of our own pages: a foreign ``Origin`` is refused.
    """

    scopes = (ScopeType.HTTP, ScopeType.WEBSOCKET)

    def __init__(self, token: str) -> None:
        self._token = token.encode()

    async def handle(self, scope: Scope, receive: Receive, send: Send, next_app: ASGIApp) -> None:
        if scope["path"].startswith(_OPEN):
            await next_app(scope, receive, send)
            return
        headers = Headers.from_scope(scope)
        given = parse_qs(scope["query_string"].decode("latin-1")).get("token", [""])[0]
        if self._is_right(_bearer(headers)) or (_is_own(headers) and self._is_right(_cookie(headers))):
            await next_app(scope, receive, send)
        elif self._is_right(given):
            await next_app(scope, receive, _remembering(send, given))
        else:
            known = "this token is not the fleet's" if given or "authorization" in headers else "no token was sent"
            error = Unauthorised(f"{known}; {HOW}")
            if _ANSWER not in (scope.get("extensions") or {}):
                raise error
            await _turn_away(scope, send, error)

    def _is_right(self, given: str) -> bool:
        return bool(given) and hmac.compare_digest(given.encode("utf-8", "replace"), self._token)


async def _turn_away(scope: Scope, send: Send, error: Unauthorised) -> None:
    """A handshake."""
    asked: Request[object, object, State] = Request(cast(Any, scope))
    answer = problems.of_ours(asked, error)
    fields = {"content-type": problems.MEDIA_TYPE, **answer.headers}
    headers = [(name.lower().encode(), value.encode()) for name, value in fields.items()]
    await send(cast(Any, {"type": f"{_ANSWER}.start", "status": answer.status_code, "headers": headers}))
    await send(cast(Any, {"type": f"{_ANSWER}.body", "body": answer.content}))


def _bearer(headers: Headers) -> str:
    scheme, _, token = headers.get("authorization", "").partition(" ")
    return token.strip() if scheme.lower() == "bearer" else ""


def _cookie(headers: Headers) -> str:
    """Read by hand: ``http.cookies`` refuses all when one, of somebody else on this host, is not to its taste."""
    pairs = (pair.strip().partition("=") for pair in headers.get("cookie", "").split(";"))
    return next((value for name, _, value in pairs if name == COOKIE), "")


def _is_own(headers: Headers) -> bool:
    origin = headers.get("origin")
    return origin is None or origin.partition("://")[2] == headers.get("host")


def _remembering(send: Send, token: str) -> Send:
    cookie = f"{COOKIE}={token}; HttpOnly; SameSite=Strict; Path=/".encode()

    async def sending(message: Message) -> None:
        if message["type"] == "http.response.start":
            message["headers"] = [*message["headers"], (b"set-cookie", cookie)]
        await send(message)

    return sending
