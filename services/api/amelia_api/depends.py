"""What handlers ask for by name; given once, in ``app.create_app``, so there is nothing to validate per request."""

from dataclasses import dataclass
from typing import Annotated

from litestar.params import Dependency

from amelia.ports import agents, journal

from . import broadcaster


@dataclass(frozen=True, kw_only=True)
class Caller:
    """Who asks, and for which team."""

    name: str
    team: str


Journal = Annotated[journal.Journal, Dependency(skip_validation=True)]
ObjectStore = Annotated[agents.ObjectStore, Dependency(skip_validation=True)]
Broadcaster = Annotated[broadcaster.Broadcaster, Dependency(skip_validation=True)]
TheCaller = Annotated[Caller, Dependency(skip_validation=True)]
AllowFile = Annotated[bool, Dependency(skip_validation=True)]
