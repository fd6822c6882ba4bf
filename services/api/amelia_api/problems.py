"""Errors as problem details (RFC 9457): the one place where they become answers."""

import logging

import msgspec
from litestar import Request, Response
from litestar.datastructures import State
from litestar.exceptions import HTTPException, MethodNotAllowedException, NotFoundException
from litestar.openapi import ResponseSpec

from amelia.contract.views import Problem
from amelia.errors import AmeliaError, Conflict, Limited, Malformed, NotFound, Refused, Unauthorised, Unavailable
from amelia.redaction import ours

log = logging.getLogger(__name__)

_KINDS: tuple[tuple[type[AmeliaError], int, str], ...] = (
    (NotFound, 404, "Not found"),
    (Conflict, 409, "Conflict"),
    (Unauthorised, 401, "Not signed in"),
    (Refused, 422, "Refused"),
    (Malformed, 400, "Malformed"),
    (Unavailable, 503, "Unavailable"),
)

MEDIA_TYPE = "application/problem+json"
SCHEMA = "/api/v1/schema"


def answers(*statuses: int) -> dict[int, ResponseSpec]:
    """For a route's documentation: what it may answer instead."""
    titles = {status: title for _, status, title in _KINDS} | _TITLES
    return {
        status: ResponseSpec(Problem, generate_examples=False, description=titles[status], media_type=MEDIA_TYPE)
        for status in statuses
    }


def of_ours(request: "Request[object, object, State]", error: AmeliaError) -> Response[bytes]:
    status, title = next((s, t) for kind, s, t in _KINDS if isinstance(error, kind))
    wait = str(error.seconds) if isinstance(error, Limited) else "1"
    headers = {"Retry-After": wait} if status == 503 else {"WWW-Authenticate": "Bearer"} if status == 401 else {}
    return _answer(request, status, title, str(error), headers, getattr(error, "changes", ""))


def of_the_framework(request: "Request[object, object, State]", error: HTTPException) -> Response[bytes]:
    """What Litestar itself refuses: a body that is not JSON or does not fit, a path or a method that is not there."""
    status = error.status_code
    if status == 413:
        detail = "the request body is too large; send less, or put large texts into the repository"
    elif status >= 500:
        detail = "the server failed on this request; its log says why"
        log.error("%s %s failed", request.method, request.url.path, exc_info=error)
    elif isinstance(error, MethodNotAllowedException):
        return _not_allowed(request, error)
    elif isinstance(error, NotFoundException):
        detail = f"there is nothing at {_place(request)}; {SCHEMA} shows what there is"
    else:
        detail = _said(error)
    return _answer(request, status, _TITLES.get(status, "Refused"), detail, dict(error.headers or {}))


def _not_allowed(request: "Request[object, object, State]", error: MethodNotAllowedException) -> Response[bytes]:
    named = (error.headers or {}).get("allow", "").split(", ")
    allowed = ", ".join(sorted(name for name in named if name.isupper()))
    detail = f"{request.method} cannot be done to {_place(request)}; it takes {allowed}"
    return _answer(request, 405, _TITLES[405], detail, {"Allow": allowed})


def _place(request: "Request[object, object, State]") -> str:
    return " ".join(request.url.path.split())[:200]


def unexpected(request: "Request[object, object, State]", error: Exception) -> Response[bytes]:
    log.error("%s %s failed", request.method, request.url.path, exc_info=error)
    return _answer(request, 500, "Internal error", "the server failed on this request; its log says why", {})


def nested_too_deep(request: "Request[object, object, State]", error: RecursionError) -> Response[bytes]:
    """msgspec says this of a body; anything else that recurses is ours."""
    if "deserializing" not in str(error):
        return unexpected(request, error)
    return _answer(request, 400, _TITLES[400], "the request body is nested too deep to be read", {})


_TITLES = {400: "Bad request", 404: "Not found", 405: "Method not allowed", 413: "Too large"}


def _said(error: HTTPException) -> str:
    """What does not fit, in one sentence. A body that was not sent is missed by the name of its argument."""
    extra = error.extra
    if isinstance(extra, list):
        found = [(str(x.get("key", "")), str(x.get("message", ""))) for x in extra if isinstance(x, dict)]
        if ("data", "'data'") in found:
            return f"the request has no body; send the JSON that {SCHEMA} describes"
        parts = [f"{key}: {message}".strip(": ") for key, message in found]
    else:
        parts = [error.detail, *([str(error.__cause__)] if error.__cause__ is not None else [])]
    why = ", ".join(dict.fromkeys(" ".join(part.split()) for part in parts if part))
    return f"the request does not fit ({why}); {SCHEMA} describes what does"


def _answer(
    request: "Request[object, object, State]",
    status: int,
    title: str,
    detail: str,
    headers: dict[str, str],
    changes: str = "",
) -> Response[bytes]:
    slug = title.lower().replace(" ", "-")
    problem = Problem(
        type=f"urn:amelia:problem:{slug}",
        title=title,
        status=status,
        detail=ours().text(detail),
        instance=request.url.path,
        changes=ours().text(changes) or msgspec.UNSET,
    )
    body = msgspec.json.encode(problem)
    return Response(body, status_code=status, media_type=MEDIA_TYPE, headers=headers)
