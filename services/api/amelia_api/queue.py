"""Who waits for a turn, over HTTP: each with its position, the limit that binds and an estimated start."""

from typing import Annotated

from litestar import get
from litestar.params import QueryParameter

from amelia.contract.views import QueueView
from amelia.domain.admission import Place, places
from amelia.domain.crowd import Limits
from amelia.ports import journal

from .depends import Journal, QueueLimits
from .present import queue_item
from .problems import answers

_MOST = 1000
_AROUND = 200
"""Of the first how many the order is worked out, when only one is asked about."""


@get("/queue", tags=["queue"], responses=answers(400, 401, 503))
async def waiting(
    journal: Journal, limits: QueueLimits, limit: Annotated[int, QueryParameter(ge=1, le=_MOST)] = 200
) -> QueueView:
    """Workflows that wait for their turn: priority, then fair turns between owners, then age."""
    crowd = await journal.crowd(_MOST, limits)
    place = places(crowd, limits)
    placed = [(place[w.id], w) for w in crowd.waiting if w.id in place]
    items = [queue_item(w, at) for at, w in sorted(placed, key=lambda pair: pair[0].position)]
    return QueueView(
        in_progress=len(crowd.running),
        limit=limits.fleet,
        waiting=max(crowd.queued, len(items)),
        items=tuple(items[:limit]),
    )


async def place_of(journal: journal.Journal, limits: Limits, workflow_id: str) -> Place | None:
    """None when it has had its turn meanwhile."""
    return places(await journal.crowd(_AROUND, limits, of=workflow_id), limits).get(workflow_id)
