"""What an invocation of the runtime carries: the row as it is now, not a history."""

from typing import Literal

import msgspec

from .workflow import Decision, Issue, Left, Money, Note, Profile


class Lesson(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What earlier workflows learnt about the repository."""

    topic: str
    text: str


class Invocation(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """``signing_key`` is this attempt's own, hexadecimal, derived from a master secret the runtime never sees.

    ``highest_fact`` is the journal's; what lies above it in the checkpoint is announced again first. Progress of this
    attempt is numbered on from ``highest_ordinal``. ``purpose`` "ask": nothing is to be started; the answer says
    whether the runtime works for that epoch. ``generation`` counts the times the workflow was begun anew; each has
    checkpoints and conversations of its own. ``retries`` counts the times an ended one was to go on. ``left`` is what
    this attempt may spend, ``spent`` what the journal knows each attempt to have spent. ``clone_token`` can read the
    repository and nothing else. ``session_seconds`` is the platform's longest life of a session.
    """

    command_id: str
    workflow_id: str
    epoch: int
    signing_key: str
    key_version: int
    highest_fact: int
    highest_ordinal: int = 0
    issue: Issue
    repository: str
    branch: str
    base: str = ""
    profile: Profile = Profile()
    decision: Decision | None = None
    purpose: Literal["work", "ask"] = "work"
    generation: int = 0
    retries: int = 0
    left: Left = Left()
    spent: dict[int, Money] = {}
    messages: tuple[Note, ...] = ()
    lessons: tuple[Lesson, ...] = ()
    clone_token: str = ""
    session_seconds: int = 28_800
    correlation_id: str = ""
    traceparent: str = ""
    heartbeat_seconds: int = 5

    def __repr__(self) -> str:
        return f"Invocation(workflow_id={self.workflow_id!r}, epoch={self.epoch}, command_id={self.command_id!r})"


class Accepted(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """The runtime's answer, given at once; the work goes on behind it.

    ``superseded``: the runtime already works for a higher epoch. ``epoch`` is the one it works for. ``idle``: it was
    asked, and does not work for that epoch.
    """

    outcome: Literal["accepted", "duplicate", "superseded", "idle"]
    epoch: int
    last_fact: int = 0
