"""What was seen of a fleet from the outside, for ``check`` to judge."""

from typing import Any, Literal

import msgspec

Intent = Literal["approve", "auto", "reject", "cancel", "leave", "broken", "pause", "revise", "retry", "tell"]


class Story(msgspec.Struct, kw_only=True):
    """One issue, as its reporter lived it. ``answers`` are the ids that every start under this key was answered with;
    ``said`` the verbs that were accepted, with the plan's hash; ``polls`` the statuses in the order they were seen;
    ``wrong`` what no right fleet would have answered. ``proposes`` where the repository has pull requests."""

    key: str
    issue: str
    repository: str
    intent: Intent
    proposes: bool = False
    tasks: tuple[str, ...] = ()
    answers: list[str] = []
    said: list[tuple[str, str]] = []
    polls: list[str] = []
    wrong: list[str] = []
    done: bool = False

    @property
    def id(self) -> str:
        return self.answers[0] if self.answers else ""


class Reading(msgspec.Struct, kw_only=True):
    """One connection of a subscriber: from which cursor, and (sequence, event id) of what came."""

    workflow: str
    after: int
    seen: list[tuple[int, str]] = []


class Branch(msgspec.Struct, kw_only=True):
    """``files``: what the branch changes against ``main``, by path; ``commits`` are above it, oldest first."""

    repository: str
    name: str
    commit: str
    files: dict[str, str] = {}
    commits: list[str] = []


class Evidence(msgspec.Struct, kw_only=True):
    """``views`` and ``journals`` by workflow id, as the API gives them at the end; ``published`` are the details that
    the bus took from the control plane, ``heard`` those a subscriber of the bus got, by event id; ``left`` is what was
    still there after ``down``; ``waiting`` the sessions of workflows that wait for nobody but a person, or have ended.
    """

    stories: list[Story] = []
    views: dict[str, dict[str, Any]] = {}
    listed: list[str] = []
    journals: dict[str, list[dict[str, Any]]] = {}
    readings: list[Reading] = []
    branches: list[Branch] = []
    published: list[dict[str, Any]] = []
    heard: list[dict[str, Any]] = []
    pulls: list[dict[str, Any]] = []
    waiting: list[str] = []
    left: list[str] = []
