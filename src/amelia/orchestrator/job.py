"""What a run is given and how it ends."""

from typing import Literal

import msgspec

from ..contract.invocation import Lesson
from ..contract.plan import Plan
from ..contract.workflow import Decision, Issue, Profile


class Job(msgspec.Struct, frozen=True, kw_only=True):
    """``branch`` is the name the work will get; ``decision`` answers the block the checkpoint waits at, if any.

    ``generation`` counts the times the workflow was begun anew: each has checkpoints and objects of its own.
    ``retries`` counts the times an ended one was to go on. ``clone_token`` is for the clone alone.
    ``lessons`` are what earlier workflows learnt about the repository, the newest first.
    ``edited`` is what a person wrote in the place of the plan that ``decision`` sends back.
    """

    workflow_id: str
    issue: Issue
    repository: str
    branch: str
    base: str = ""
    profile: Profile = Profile()
    decision: Decision | None = None
    highest_fact: int = 0
    generation: int = 0
    retries: int = 0
    clone_token: str = ""
    lessons: tuple[Lesson, ...] = ()
    edited: Plan | None = None

    def __repr__(self) -> str:
        return f"Job(workflow_id={self.workflow_id!r}, generation={self.generation})"

    @property
    def thread(self) -> str:
        """The checkpoints' name; at most 100 characters, letters, digits and hyphens."""
        return f"{self.workflow_id}-g{self.generation}" if self.generation else self.workflow_id

    @property
    def folder(self) -> str:
        """Where its objects lie."""
        return f"{self.workflow_id}/generation-{self.generation}" if self.generation else self.workflow_id


class Limits(msgspec.Struct, frozen=True, kw_only=True):
    """In seconds. A model that says nothing for ``silence`` is taken to be away; a tool that is at work says so every
    ``still``. ``context_tokens`` is how much the models can read, 0 when it is known by their names."""

    silence: float = 600
    still: float = 60
    context_tokens: int = 0


class Ended(msgspec.Struct, frozen=True, kw_only=True):
    """``blocked``: the graph waits at the gate. ``paused``: it stopped on purpose, and goes on when it is run again.
    ``finished``: there is nothing more to do, whatever the result."""

    state: Literal["blocked", "paused", "finished"]
    last_fact: int
    result: Literal["", "success", "failed"] = ""
    cause: str = ""


def version() -> str:
    """Of the installed distribution."""
    from importlib.metadata import version as installed

    return installed("amelia")
