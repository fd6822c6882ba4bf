"""What handlers ask for by name; given once, in ``app.create_app``, so there is nothing to validate per request."""

from dataclasses import dataclass

from litestar.di import NamedDependency
from litestar.params import SkipValidation

from amelia.domain.crowd import Limits
from amelia.ports import agents, journal
from amelia.trackers import submitted

from . import broadcaster


@dataclass(frozen=True, kw_only=True)
class Caller:
    """Who asks, and for which team."""

    name: str
    team: str


Journal = NamedDependency[SkipValidation[journal.Journal]]
ObjectStore = NamedDependency[SkipValidation[agents.ObjectStore]]
Broadcaster = NamedDependency[SkipValidation[broadcaster.Broadcaster]]
TheCaller = NamedDependency[SkipValidation[Caller]]
IssueReader = NamedDependency[SkipValidation[submitted.IssueReader]]
AllowFile = NamedDependency[SkipValidation[bool]]
QueueLimits = NamedDependency[SkipValidation[Limits]]
