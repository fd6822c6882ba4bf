"""Dead letters: what consumers gave up, sent again or given up for good."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from msgspec.structs import replace

from ...contract import codec
from ...domain.burials import letter_id
from ...errors import Conflict, Malformed, NotFound, Refused
from ...ports.journal import Burial, DeadLetter
from .tables import Grave, Queued, Tables


def bury(tables: Tables, now: datetime, burials: Sequence[Burial]) -> None:
    for burial in burials:
        id_ = letter_id(burial.source, burial.sender, burial.body)
        fresh = _letter(id_, burial, now)
        there = tables.graves.get(id_)
        if there is None:
            tables.graves[id_] = Grave(letter=fresh)
        else:
            if burial.source == "ci":
                tables.outbox.pop(_redriven(there), None)
            receives, first_at = there.before + burial.receives, there.letter.first_at
            tables.graves[id_] = replace(there, letter=replace(fresh, receives=receives, first_at=first_at))
        if burial.source == "commands":
            tables.outbox.pop(fresh.message_id, None)


def _letter(id_: str, burial: Burial, now: datetime) -> DeadLetter:
    said = _read(burial.body)

    def text(name: str) -> str:
        return value if isinstance(value := said.get(name), str) else ""

    return DeadLetter(
        id=id_,
        source=burial.source,
        message_id=text("id"),
        workflow_id=text("workflow_id"),
        type=text("type"),
        cause=burial.cause,
        receives=burial.receives,
        body=burial.body,
        intact=True,
        first_at=now,
        last_at=now,
        state="waiting",
        sender=burial.sender,
    )


def _redriven(grave: Grave) -> str:
    """The outbox row that it was last sent again by."""
    return f"{grave.letter.id}/{grave.redrives}"


def _read(body: str) -> dict[str, Any]:
    """The message itself, without EventBridge's envelope."""
    try:
        outer = codec.decode_object(body)
    except Malformed:
        return {}
    detail = outer.get("detail")
    return detail if isinstance(detail, dict) else outer


def page(tables: Tables, state: str, before: tuple[datetime, str] | None, limit: int) -> list[DeadLetter]:
    letters = [grave.letter for grave in tables.graves.values() if state in ("", grave.letter.state)]
    if before is not None:
        letters = [letter for letter in letters if (letter.last_at, letter.id) < before]
    newest = sorted(letters, key=lambda letter: (letter.last_at, letter.id), reverse=True)
    return [replace(letter, body="") for letter in newest[:limit]]


def redrive(tables: Tables, now: datetime, id_: str, by: str) -> DeadLetter | Refused:
    grave = tables.graves.get(id_)
    if (refusal := _refusal(id_, grave)) is not None or grave is None:
        return refusal or NotFound(id_)
    letter = replace(grave.letter, state="redriven", decided_by=by)
    again = Grave(letter=letter, before=letter.receives, redrives=grave.redrives + 1)
    tables.graves[id_] = again
    tables.outbox[_redriven(again)] = Queued(
        id=_redriven(again),
        destination=letter.source,
        workflow_id=letter.workflow_id,
        body=letter.body,
        next_at=now,
        once=True,
        sender=letter.sender,
    )
    return letter


def discard(tables: Tables, id_: str, by: str) -> DeadLetter | Refused:
    grave = tables.graves.get(id_)
    if (refusal := _refusal(id_, grave)) is not None or grave is None:
        return refusal or NotFound(id_)
    letter = replace(grave.letter, state="discarded", decided_by=by)
    tables.graves[id_] = replace(grave, letter=letter)
    return letter


def _refusal(id_: str, grave: Grave | None) -> Refused | None:
    if grave is None:
        return NotFound(f"there is no dead letter {id_}; amelia dead-letters list shows those there are")
    if grave.letter.state != "waiting":
        return Conflict(f"the dead letter {id_} was {grave.letter.state} by {grave.letter.decided_by}")
    return None
