"""What the tracker is told about a workflow: that it has begun, that it waits for a person, how it ended."""

from typing import Literal

import msgspec

from ..contract.ids import derive_id
from ..contract.workflow import Status, TrackerName
from .neutral import line, neutral
from .workflow import Workflow

Moment = Literal["start", "block", "completion"]
TOLD: frozenset[TrackerName] = frozenset({"github", "jira"})
"""Trackers in which something can be said."""
COMMAND = "tell_issue"
"""What a telling is called where it is refused."""

_MOST, _LINE, _TEXT = 20, 300, 6_000


class Telling(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One comment on an issue. ``key`` is in the comment and finds it again; ``about`` is the block it asks to decide.
    ``issue`` is its id and ``address`` its page, ``text`` Markdown, ``url`` a page of the result. ``at`` is when it
    became true, UTC, ISO 8601."""

    id: str
    workflow_id: str
    sequence: int
    moment: Moment
    tracker: TrackerName
    issue: str
    repository: str
    status: Status
    text: str
    at: str
    address: str = ""
    about: str = ""
    url: str = ""

    @property
    def key(self) -> str:
        return f"{self.workflow_id}/{self.moment}/{self.sequence}"


def tellings(before: Workflow | None, after: Workflow, now: str) -> tuple[Telling, ...]:
    """What one change of a workflow has to tell. What came and went within it is not worth a comment."""
    profile = after.profile
    if profile.tracker not in TOLD or before is None:
        return ()
    told: list[Telling] = []
    if profile.tell.start and after.open and not before.epoch:
        told.append(_telling(after, now, "start", f"Work on this has begun, on the branch `{after.branch}`."))
    if profile.tell.block and _waits(after) and _waiting_for(before) != _waiting_for(after):
        told.append(_telling(after, now, "block", _block(after)))
    if profile.tell.completion and after.ended and not before.ended:
        told.append(_telling(after, now, "completion", _completion(after)))
    return tuple(told)


def stale(telling: Telling, w: Workflow, *, tried: bool) -> bool:
    """Whether it is no news any more: nobody has to decide that block, or (when it was ``tried`` before and comes late)
    the work that began has ended."""
    match telling.moment:
        case "start":
            return tried and w.ended
        case "block":
            return not _waits(w) or _waiting_for(w) != (telling.status, telling.about)
        case "completion":
            return w.status != telling.status


def linked(telling: Telling, link: str) -> str:
    """As it is said, with the ways out: to the result, and to the workflow. ``link`` is where people reach the control
    plane, "" for nowhere."""
    named = f"workflow `{telling.workflow_id}`"
    if link:
        named = f"[workflow]({link.rstrip('/')}/workflows/{telling.workflow_id}) `{telling.workflow_id}`"
    ways = (f"[Result]({telling.url})" if telling.url else "", f"Amelia's {named}")
    return f"{telling.text}\n\n{' · '.join(filter(None, ways))}"


def _telling(w: Workflow, now: str, moment: Moment, text: str) -> Telling:
    return Telling(
        id=derive_id(w.id, f"tell/{moment}/{w.sequence}"),
        workflow_id=w.id,
        sequence=w.sequence,
        moment=moment,
        tracker=w.profile.tracker,
        issue=w.issue.id,
        address=w.issue.url,
        repository=w.repository,
        status=w.status,
        text=text,
        at=now,
        about=w.block.event_id if w.status == "blocked" and w.block else "",
        url=w.pull_request.url if w.pull_request and w.status == "completed" else "",
    )


def _waits(w: Workflow) -> bool:
    return w.status == "paused" or (w.status == "blocked" and w.block is not None)


def _waiting_for(w: Workflow) -> tuple[Status, str]:
    return w.status, w.block.event_id if w.status == "blocked" and w.block else ""


def _block(w: Workflow) -> str:
    if w.status == "paused":
        return f"The work is paused: {line(w.reason, _LINE)}\n\n{_command('resume', w)}"
    block = w.block
    assert block is not None, "a blocked workflow has a block"
    if block.requires == "review":
        said = "The work waits for a person, because the Reviewer does not accept it."
        return "\n\n".join(filter(None, (said, _list(block.unresolved), _command("approve", w))))
    parts = ["A plan waits for approval."]
    if block.plan is not None:
        parts += [neutral(block.plan.summary, _TEXT), _list(tuple(task.title for task in block.plan.tasks))]
    if block.deadline:
        parts.append(f"It counts as rejected when nobody decides until {block.deadline}.")
    return "\n\n".join(part for part in (*parts, _command("approve", w)) if part)


def _completion(w: Workflow) -> str:
    if w.status == "completed":
        where = f"pull request {w.pull_request.number}" if w.pull_request else f"the branch `{w.branch}`"
        draft = " (a draft)" if w.pull_request and w.pull_request.draft else ""
        parts = [f"Done: the work is in {where}{draft}, at `{w.commit[:12]}`.", neutral(w.summary, _TEXT)]
        if w.unresolved:
            parts += ["A person should look at this:", _list(w.unresolved)]
        return "\n\n".join(part for part in parts if part)
    verb = "was cancelled" if w.status == "cancelled" else "failed"
    return f"The work {verb}: {line(w.reason, _LINE)}" if w.reason else f"The work {verb}."


def _list(lines: tuple[str, ...]) -> str:
    more = (f"- … and {len(lines) - _MOST} more",) if len(lines) > _MOST else ()
    return "\n".join((*(f"- {line(said, _LINE)}" for said in lines[:_MOST]), *more))


def _command(verb: str, w: Workflow) -> str:
    return f"`amelia workflows {verb} {w.id}`"
