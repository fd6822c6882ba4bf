"""Whether the api lives, and whether it can work. The only routes that ask for no token."""

import asyncio

from litestar import get
from litestar.response import Response

from amelia.contract.views import Health
from amelia.errors import Unavailable

from .depends import Journal


@get("/health/live", security=[{}])
async def live() -> Health:
    return Health(status="ok")


@get("/health/ready", security=[{}])
async def ready(journal: Journal) -> Response[Health]:
    """503 while the journal does not answer within two seconds."""
    try:
        await asyncio.wait_for(journal.get(""), 2)
    except (Unavailable, TimeoutError) as error:
        return Response(Health(status="unavailable", checks={"journal": str(error) or "no answer"}), status_code=503)
    return Response(Health(status="ok", checks={"journal": "ok"}))
