"""Errors as problem details (RFC 9457): the one place where they become answers."""

import logging

import msgspec
from litestar import Request, Response
from litestar.datastructures import State
from litestar.exceptions import HTTPException
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
    else:
        detail = _said(error)
    return _answer(request, status, _TITLES.get(status, "Refused"), detail, dict(error.headers or {}))


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
    extra = error.extra
    parts = [error.detail]
    if isinstance(extra, list):
        parts += [f"{x.get('key', '')}: {x.get('message', '')}".strip(": ") for x in extra if isinstance(x, dict)]
    elif error.__cause__ is not None:
        parts.append(str(error.__cause__))
    return "; ".join(dict.fromkeys(part for part in parts if part))


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
