"""What may change while an attempt works, and what ends it."""

from collections.abc import Sequence

import msgspec

from ..contract.envelope import Event
from ..contract.workflow import Note
from ..workspace.tree import Tree
from .account import Account

LONGEST_MARGIN = 600.0
MARGIN = 0.05


class Stopped(Exception):
    """The attempt does no more, on purpose: everything is kept, and a later one goes on. ``said`` is why."""

    def __init__(self, said: Event) -> None:
        super().__init__(type(said).__name__)
        self.said = said


class Ends(msgspec.Struct, frozen=True, kw_only=True):
    """The session's end comes: in the event loop's time, ``last_turn`` is when no new turn begins any more and ``cut``
    when what still runs is ended."""

    last_turn: float
    cut: float
    session_seconds: int

    @classmethod
    def of(cls, session_seconds: int, begun: float) -> "Ends":
        """``begun`` is when the session began, in the loop's time. The margin is ten minutes, or a twentieth of a life
        that is short; the last third of it is for the checkpoint."""
        margin = min(LONGEST_MARGIN, session_seconds * MARGIN)
        end = begun + session_seconds
        return cls(last_turn=end - margin, cut=end - margin / 3, session_seconds=session_seconds)


class Live:
    """One for an attempt. A later invocation of the same attempt changes ``notes``, what people have said and no agent
    has read, and what the account allows. ``tree`` is what an earlier run of the attempt has cloned: the credential for
    a second clone may have expired. ``warned``: people have been told how commands are confined."""

    def __init__(self, account: Account, notes: Sequence[Note] = (), ends: Ends | None = None) -> None:
        self.account = account
        self.notes = tuple(notes)
        self.ends = ends
        self.tree: Tree | None = None
        self.warned = False
