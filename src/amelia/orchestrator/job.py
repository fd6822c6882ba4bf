"""What a run is given and how it ends."""

from typing import Literal

import msgspec

from ..contract.workflow import Decision, Issue, Profile


class Job(msgspec.Struct, frozen=True, kw_only=True):
    """``branch`` is the name the work will get; ``decision`` answers the block the checkpoint waits at, if any."""

    workflow_id: str
    issue: Issue
    repository: str
    branch: str
    base: str = ""
    profile: Profile = Profile()
    decision: Decision | None = None
    highest_fact: int = 0


class Ended(msgspec.Struct, frozen=True, kw_only=True):
    """``blocked``: the graph waits at the gate. ``finished``: there is nothing more to do, whatever the result."""

    state: Literal["blocked", "finished"]
    last_fact: int
    result: Literal["", "success", "failed"] = ""
    cause: str = ""


def version() -> str:
    """Of the installed distribution."""
    from importlib.metadata import version as installed

    return installed("amelia")
