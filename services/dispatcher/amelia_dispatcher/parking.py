"""How long an attempt that could not be made waits for the next one."""

import hashlib

from amelia.contract import events as e
from amelia.contract.ids import derive_id
from amelia.domain.timers import later
from amelia.domain.workflow import Workflow

_FIRST_SECONDS = 2.0
_LONGEST_SECONDS = 120.0


def pause_seconds(w: Workflow) -> float:
    """Twice as long with each attempt in a row that had to wait, give or take a half: what was turned away together
    does not come back together. The same row waits the same time, whoever asks."""
    digest = hashlib.sha256(f"{w.id}/{w.epoch}".encode()).digest()
    jitter = 0.5 + int.from_bytes(digest[:4], "big") / 2**32
    return min(_FIRST_SECONDS * 2.0 ** min(w.parks, 10), _LONGEST_SECONDS) * jitter


def parked(w: Workflow, cause: str, now: str, *, keeps_place: bool) -> e.WorkflowParked:
    return e.WorkflowParked(
        id=derive_id(w.id, f"parked/{w.epoch}"),
        workflow_id=w.id,
        correlation_id=w.correlation_id,
        reason=cause,
        until=later(now, pause_seconds(w)),
        keeps_place=keeps_place,
    )
