"""What the graph remembers between its steps. Channels hold JSON, so that any memory can keep them."""

from typing import Any, Literal, TypedDict

import msgspec

from ..contract.events import Share
from ..contract.invocation import Lesson
from ..contract.plan import Plan, Task, Verdict
from ..contract.workflow import ClaimCheck, Money, Note
from ..domain.plan import MERGE

Step = Literal["open", "plan", "gate", "develop", "review", "appeal", "finish", "end"]
WAITING: frozenset[Step] = frozenset({"gate", "appeal"})
"""Steps that wait for a person."""
Outcome = Literal["completed", "failed", "skipped"]

REVIEW_ROUND = "review"
"""The name of the Developer's rounds that answer a review."""


class State(TypedDict):
    """The graph's channels. ``work`` is an encoded ``Work``; ``facts`` are encoded events, numbered up to
    ``last_fact``; those the journal is known to hold are gone from the list."""

    work: str
    facts: list[str]
    last_fact: int


class Going(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A task that is worked since attempt ``begun``, on top of the commit ``base``. ``commit``, in ``bundle``, is what
    it came to; it contradicts what others did meanwhile in ``files``, and it is the merge that is worked now."""

    round: int
    begun: int
    base: str
    commit: str = ""
    bundle: ClaimCheck | None = None
    files: tuple[str, ...] = ()

    def name(self, task: str) -> str:
        """What the work is called."""
        return f"{MERGE}{task}" if self.commit else task


class Work(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """``step`` is what comes next, recorded by attempt ``begun``; ``task`` and ``round`` say of what, and how often it
    was begun. ``active`` are the plan's tasks that are worked now.

    ``plan`` is what was proposed, then what was approved of it; ``left_out`` are the titles of the rest. ``feedback``
    is what was said of the plans that were sent back, ``appeals`` what was said of work that the Reviewer did not
    accept, ``notes`` what else people said and agents have read. ``goes`` counts how often a task was begun,
    ``reviews`` the rounds of review, ``forgiven`` those before the last retry or appeal. ``commit`` and ``bundle`` are
    the branch after the last finished task. ``used`` is what was said to be spent, by attempt.

    Of a workflow that failed, ``again`` is the step at which a retry goes on; in the middle of it when it
    ``broke_off``. ``retries`` are those it has seen. ``for_people`` are sentences about what was left to them.
    ``lessons`` were learnt in it.
    """

    step: Step = "open"
    begun: int = 1
    base_commit: str = ""
    plan: Plan | None = None
    plan_sha256: str = ""
    block_id: str = ""
    left_out: tuple[str, ...] = ()
    feedback: tuple[str, ...] = ()
    notes: tuple[Note, ...] = ()
    outcomes: dict[str, Outcome] = {}
    goes: dict[str, int] = {}
    task: str = ""
    round: int = 1
    active: dict[str, Going] = {}
    reviews: int = 0
    forgiven: int = 0
    verdict: Verdict | None = None
    appeals: tuple[str, ...] = ()
    reply: str = ""
    commit: str = ""
    bundle: ClaimCheck | None = None
    used: dict[int, Money] = {}
    shares: dict[int, tuple[Share, ...]] = {}
    result: Literal["", "success", "failed"] = ""
    cause: str = ""
    blame: Literal["", "repository"] = ""
    again: Step = "open"
    broke_off: bool = False
    retries: int = 0
    for_people: tuple[str, ...] = ()
    lessons: tuple[Lesson, ...] = ()

    @property
    def agreed(self) -> Plan:
        """The plan. Only asked for after there is one."""
        assert self.plan is not None
        return self.plan

    def named(self, task: str) -> Task:
        """The plan's task of that id."""
        return next(one for one in self.agreed.tasks if one.id == task)

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
