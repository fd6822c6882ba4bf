"""Answers that are no: status and problem document to the error that says what to do."""

import msgspec

from ..errors import AmeliaError, Conflict, NotFound, Refused, Unauthorised, Unavailable

_KINDS: dict[int, type[AmeliaError]] = {404: NotFound, 409: Conflict}


class _Told(msgspec.Struct):
    """What is read of a problem document; other servers' documents may have less."""

    detail: str = ""
    title: str = ""
    changes: str = ""


def problem(status: int, body: bytes, url: str, *, retry_after: str = "") -> AmeliaError:
    """The error for an answer of 300 or above from the control plane at ``url``. What changed of a plan is its note."""
    told = _told(body)
    said = told.detail or told.title
    if status in (401, 403):
        whose = f"this token is not the fleet's at {url}, or none was sent"
        return Unauthorised(said or f"{whose}; set AMELIA_TOKEN to the one in the file 'token' of its state directory")
    if status == 429:
        wait = f"in {retry_after} seconds" if retry_after.isdigit() else "in a moment"
        return Unavailable(f"{said or f'{url} has too much to do'}; try again {wait}")
    if status >= 500:
        return Unavailable(said or f"{url} answered {status}; try again, and look at amelia status if it stays so")
    if status < 400:
        return Refused(f"{url} points somewhere else ({status}); give the control plane's own address with --url")
    error = _KINDS.get(status, Refused)(said or f"{url} refused with {status}; is it a control plane of this version?")
    if told.changes:
        error.add_note(told.changes)
    return error


def no_answer(url: str, reason: object) -> Unavailable:
    why = f" ({reason})" if str(reason) else ""
    return Unavailable(f"no fleet answers at {url}{why}; start one with amelia up")


def _told(body: bytes) -> _Told:
    try:
        return msgspec.json.decode(body, type=_Told)
    except msgspec.DecodeError:
        return _Told()
