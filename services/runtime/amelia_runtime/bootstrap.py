"""The one place that names adapters."""

import os
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager

from amelia.adapters.aws.bus import EventBus
from amelia.adapters.aws.objects import S3Objects
from amelia.adapters.aws.session import AGENTCORE, load_model, open_client
from amelia.memory.agentcore import AgentCoreMemory
from amelia.settings import load

from .attempt import Parts
from .working import Workshop


def load_models() -> None:
    """The descriptions of the services that ``open_parts`` speaks to, from the installed packages."""
    load_model("s3", "events", AGENTCORE)


@asynccontextmanager
async def open_parts() -> AsyncIterator[Parts]:
    """Reads the environment. Raises ``Refused`` when a setting does not fit."""
    settings = load()
    async with AsyncExitStack() as stack:
        events = await stack.enter_async_context(open_client("events", settings))
        s3 = await stack.enter_async_context(open_client("s3", settings))
        workshop = Workshop(
            objects=S3Objects(s3, settings.bucket),
            memory=AgentCoreMemory(settings),
            environ=dict(os.environ),
            local=settings.takes_local_repositories,
        )
        yield Parts(
            bus=EventBus(events, bus=settings.event_bus, source=settings.event_source),
            work=workshop.carry,
        )
