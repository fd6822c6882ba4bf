"""A workflow that was recorded: what it began with, what people decided, and what it came to."""

from collections.abc import Iterable
from typing import Literal

import msgspec
from msgspec.structs import replace

from ..contract import events as e
from ..contract.envelope import Event
from ..contract.plan import Plan
from ..contract.workflow import Issue, Profile


class Decided(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, forbid_unknown_fields=True):
    """What was said to one block, or to the failure: ``retried``. ``tasks`` are those that were approved, none when all
    were; ``edited`` is the plan that a person wrote in the place of the one that waited."""

    kind: Literal["approved", "rejected", "revised", "retried"]
    feedback: str = ""
    tasks: tuple[str, ...] = ()
    edited: Plan | None = None


class Recorded(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, forbid_unknown_fields=True):
    """It began on ``commit`` of ``repository``. ``finished`` names its conversations in the order in which they ended;
    ``tasks`` says what became of each. ``diff`` is the work, ``result`` the status in the end."""

    workflow_id: str
    version: str = ""
    issue: Issue
    repository: str
    base: str = ""
    commit: str = ""
    profile: Profile = Profile()
    decisions: tuple[Decided, ...] = ()
    finished: tuple[str, ...] = ()
    plan_sha256: str = ""
    tasks: dict[str, str] = {}
    result: str = ""
    reason: str = ""
    diff: str = ""


Begun = tuple[str, str, int]
"""Agent, task, round."""


class History(msgspec.Struct, frozen=True, kw_only=True):
    """What the events of a workflow tell, of its last beginning alone. ``begun`` are its agents in the order in which
    they started; ``artifacts`` are the names of what was stored."""

    recorded: Recorded
    begun: tuple[Begun, ...] = ()
    artifacts: tuple[str, ...] = ()


def history(events: Iterable[Event]) -> History | None:
    """None when they do not begin with a submission."""
    told: History | None = None
    for event in events:
        if isinstance(event, e.WorkflowSubmitted):
            told = _submitted(event)
        elif told is not None:
            told = _further(told, event)
    return told


def _submitted(event: e.WorkflowSubmitted) -> History:
    recorded = Recorded(
        workflow_id=event.workflow_id,
        issue=event.issue,
        repository=event.repository,
        base=event.base,
        profile=event.profile,
    )
    return History(recorded=recorded)


def _further(told: History, event: Event) -> History:
    was = told.recorded
    match event:
        case e.WorkflowRetried(start=True):
            kept = {name: getattr(was, name) for name in ("workflow_id", "issue", "repository", "base", "profile")}
            return History(recorded=Recorded(**kept))
        case e.ArtifactStored():
            return replace(told, artifacts=(*(n for n in told.artifacts if n != event.name), event.name))
        case e.AgentStarted():
            return replace(told, begun=(*told.begun, (event.agent, event.task_id, event.round)))
        case e.WorkflowStarted():
            return replace(told, recorded=replace(was, commit=event.base_commit, version=event.runtime_version))
        case e.WorkflowBlocked():
            return replace(told, recorded=replace(_edited(told, event), plan_sha256=event.plan_sha256))
        case e.AgentCompleted():
            name = "-".join(filter(None, (event.agent, event.task_id, str(event.round))))
            return replace(told, recorded=replace(was, finished=(*was.finished, name)))
        case e.TaskCompleted():
            return replace(told, recorded=replace(was, tasks={**was.tasks, event.task_id: event.status}))
        case _:
            decided = _decided(event)
            return replace(told, recorded=replace(was, decisions=(*was.decisions, decided))) if decided else told


def _decided(event: Event) -> Decided | None:
    match event:
        case e.WorkflowApproved():
            return Decided(kind="approved", tasks=event.tasks)
        case e.WorkflowRejected():
            return Decided(kind="rejected", feedback=event.feedback)
        case e.WorkflowRevised():
            return Decided(kind="revised", feedback=event.feedback)
        case e.WorkflowRetried():
            return Decided(kind="retried")
        case _:
            return None


def _edited(told: History, event: e.WorkflowBlocked) -> Recorded:
    """A plan that waits after a revision, and no Architect has begun to plan since: a person wrote it."""
    was = told.recorded
    *before, last = was.decisions or (Decided(kind="approved"),)
    planned = sum(agent == "architect" for agent, _, _ in told.begun)
    if last.kind != "revised" or event.requires != "approval" or planned > _plans_asked_for(before):
        return was
    return replace(was, decisions=(*before, replace(last, edited=event.plan)))


def _plans_asked_for(before: list[Decided]) -> int:
    return 1 + sum(one.kind == "revised" and one.edited is None for one in before)
