"""What the fleet's stream says besides events. A ``cursor`` is opaque: as ``after`` it is where to go on."""

import msgspec


class FleetCaughtUp(msgspec.Struct, frozen=True, kw_only=True, tag="caught_up", tag_field="type"):
    """Everything recorded up to ``cursor`` that was asked for has been sent; what follows is live."""

    cursor: str


class FleetPing(msgspec.Struct, frozen=True, kw_only=True, tag="ping", tag_field="type"):
    """Nothing that was asked for has happened up to ``cursor``.

    ``lag_seconds`` is the age of what is recorded and not told yet, because a transaction older than it is still open.
    """

    timestamp: str
    cursor: str
    lag_seconds: int = 0
