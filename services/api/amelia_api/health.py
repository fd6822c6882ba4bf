"""Whether the api lives, and whether it can work. The only routes that ask for no token."""

import asyncio

from litestar import get
from litestar.response import Response

from amelia.contract.views import Health
from amelia.errors import Unavailable

from .depends import Broadcaster, Journal


@get("/health/live", security=[{}])
async def live() -> Health:
    return Health(status="ok")


@get("/health/ready", security=[{}])
async def ready(journal: Journal, broadcaster: Broadcaster) -> Response[Health]:
    """503 while the journal does not answer within two seconds, or streams have stopped."""
    checks = {"journal": "ok", "streams": broadcaster.ailing or "ok"}
    try:
        await asyncio.wait_for(journal.get(""), 2)
    except (Unavailable, TimeoutError) as error:
        checks["journal"] = str(error) or "no answer"
    if set(checks.values()) == {"ok"}:
        return Response(Health(status="ok", checks=checks))
    return Response(Health(status="unavailable", checks=checks), status_code=503)
