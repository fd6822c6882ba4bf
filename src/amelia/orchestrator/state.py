"""What the graph remembers between its steps. Channels hold JSON, so that any memory can keep them."""

from typing import Any, Literal, TypedDict

import msgspec

from ..contract.plan import Plan, Task, Verdict
from ..contract.workflow import ClaimCheck, Money

Step = Literal["open", "plan", "gate", "develop", "review", "finish", "end"]
Outcome = Literal["completed", "failed", "skipped"]

REVIEW_ROUND = "review"
"""The name of the Developer's rounds that answer a review."""


class State(TypedDict):
    """The graph's channels. ``work`` is an encoded ``Work``; ``facts`` are encoded events, numbered up to
    ``last_fact``; those the journal is known to hold are gone from the list."""

    work: str
    facts: list[str]
    last_fact: int


class Work(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """``step`` is what comes next, recorded by attempt ``begun``; ``task`` and ``round`` say of what.

    ``commit`` and ``bundle`` are the branch after the last finished task. ``spent`` counts for attempt ``spent_in``.
    """

    step: Step = "open"
    begun: int = 1
    base_commit: str = ""
    plan: Plan | None = None
    plan_sha256: str = ""
    block_id: str = ""
    outcomes: dict[str, Outcome] = {}
    task: str = ""
    round: int = 1
    verdict: Verdict | None = None
    reply: str = ""
    commit: str = ""
    bundle: ClaimCheck | None = None
    spent: Money = Money()
    spent_in: int = 0
    result: Literal["", "success", "failed"] = ""
    cause: str = ""

    @property
    def agreed(self) -> Plan:
        """The plan. Only asked for after there is one."""
        assert self.plan is not None
        return self.plan

    @property
    def current(self) -> Task:
        return next(task for task in self.agreed.tasks if task.id == self.task)

    @property
    def top(self) -> str:
        """The commit the branch is at."""
        return self.commit or self.base_commit


_decoder = msgspec.json.Decoder(Work)


def work_of(state: State) -> Work:
    return _decoder.decode(state["work"])


def encoded(work: Work) -> str:
    return msgspec.json.encode(work).decode()


def beginning() -> State:
    return State(work=encoded(Work()), facts=[], last_fact=0)


def step_of(state: State) -> Step:
    return work_of(state).step


def values_of(channels: dict[str, Any]) -> State | None:
    """The state in a checkpoint's channels, None before there is one."""
    return (
        State(work=channels["work"], facts=channels["facts"], last_fact=channels["last_fact"])
        if "work" in channels
        else None
    )
