"""What one workflow's journal says, judged against how its reporter lived it."""

from collections import Counter
from collections.abc import Iterator
from typing import Any

from tests.chaos.evidence import Evidence, Story

Event = dict[str, Any]

_ENDED = frozenset({"completed", "failed", "cancelled"})
_LEADS = {
    "workflow_submitted": "pending",
    "attempt_opened": "in_progress",
    "workflow_blocked": "blocked",
    "workflow_approved": "approved",
    "workflow_rejected": "failed",
    "workflow_cancelled": "cancelled",
    "workflow_revised": "pending",
    "workflow_paused": "paused",
    "workflow_resumed": "pending",
    "workflow_retried": "pending",
}
_LEGAL = {
    "pending": {"in_progress", "failed", "cancelled", "paused"},
    "in_progress": {"blocked", "completed", "failed", "cancelled", "pending", "approved", "paused"},
    "blocked": {"approved", "failed", "cancelled", "pending", "paused"},
    "approved": {"in_progress", "failed", "cancelled", "paused"},
    "paused": {"pending", "approved", "failed", "cancelled"},
    "completed": set[str](),
    "failed": {"pending"},
    "cancelled": {"pending"},
}
_RECORDED = {"revise": "workflow_revised", "retry": "workflow_retried", "tell": "message_sent"}


def judged(seen: Evidence, story: Story) -> Iterator[str]:
    journal, view = seen.journals[story.id], seen.views.get(story.id, {})
    if [e["sequence"] for e in journal] != list(range(1, len(journal) + 1)):
        yield f"I3: {story.id}: its sequence is {[e['sequence'] for e in journal]}"
    if len({e["id"] for e in journal}) != len(journal):
        yield f"I3: {story.id}: an event is in its journal twice"
    yield from _attempts(story.id, journal)
    yield from _statuses(story.id, journal, view)
    yield from _decisions(story, journal, view)
    yield from _tasks(story, journal, view)


def _attempts(one: str, journal: list[Event]) -> Iterator[str]:
    """Only the newest attempt has a say, its facts come once and in order; a gap in its progress is said."""
    epoch = fact = 0
    ordinals: Counter[int] = Counter()
    for event in journal:
        if event["type"] == "attempt_opened":
            if event["attempt"] <= epoch:
                yield f"I2: {one}: attempt {event['attempt']} was opened after {epoch}"
            epoch = event["attempt"]
        if event["type"] == "events_missing":
            ordinals[event["of_attempt"]] = event["last"]
        if event.get("fact"):
            if event["attempt"] != epoch:
                yield f"I2: {one}: attempt {event['attempt']} says {event['type']} while {epoch} is the one"
            if event["fact"] != fact + 1:
                yield f"I3: {one}: fact {event['fact']} comes after {fact}"
            fact = event["fact"]
        elif event.get("ordinal"):
            if event["ordinal"] <= ordinals[event["attempt"]] and not _was_missed(journal, event):
                yield f"I3: {one}: progress {event['ordinal']} of attempt {event['attempt']} comes twice"
            ordinals[event["attempt"]] = max(ordinals[event["attempt"]], event["ordinal"])


def _was_missed(journal: list[Event], event: Event) -> bool:
    return any(
        e["type"] == "events_missing"
        and e["of_attempt"] == event["attempt"]
        and e["first"] <= event["ordinal"] <= e["last"]
        for e in journal
    )


def _statuses(one: str, journal: list[Event], view: dict[str, Any]) -> Iterator[str]:
    status, ending = "", journal[0]
    for event in journal:
        now = _after(status, event)
        if now is None or now == status:
            continue
        if status and now not in _LEGAL[status]:
            yield f"I4: {one}: {event['type']} ({event['sequence']}) makes it {now} from {status}"
        if status in _ENDED and event["type"] != "workflow_retried":
            yield f"I4: {one}: {event['type']} ({event['sequence']}) comes after it was {status}"
        status, ending = now, event
    if view and view["status"] != status:
        yield f"I4: {one}: its events make it {status}, the API says {view['status']}"
    if status == "failed" and (not view.get("reason") or not _names_a_cause(ending)):
        yield f"I10: {one} failed and no event says why"


def _after(status: str, event: Event) -> str | None:
    """None where the event says nothing of the status."""
    kind = event["type"]
    if kind in _LEADS:
        return _LEADS[kind]
    if kind == "runtime_lost":
        return "failed" if event.get("final") else "pending"
    if kind == "workflow_parked":
        return status if status == "approved" else "pending"
    if kind == "command_refused":
        return "failed" if event.get("final") else None
    if kind == "workflow_completed":
        return "failed" if event["result"] == "failed" else None
    if kind in ("branch_pushed", "pull_request_opened"):
        return None if event.get("pull_request") else "completed"
    return None


def _names_a_cause(event: Event) -> bool:
    if event["type"] in ("workflow_rejected", "approval_deadline_passed"):
        return bool(event.get("rejected_by") or event.get("deadline"))
    return bool(event.get("cause") or event.get("reason"))


def _decisions(story: Story, journal: list[Event], view: dict[str, Any]) -> Iterator[str]:
    """What is worked and pushed is what was approved."""
    blocks = {e["id"]: e for e in journal if e["type"] == "workflow_blocked"}
    approved: set[str] = set()
    decided: Counter[str] = Counter()
    for event in journal:
        kind = event["type"]
        if kind in ("workflow_approved", "workflow_rejected"):
            decided[event["block_id"]] += 1
            block = blocks.get(event["block_id"])
            whole = not event.get("tasks")
            if block is None or (whole and block["plan_sha256"] != event["plan_sha256"]):
                yield f"I6: {story.id}: {kind} of a plan that was not shown"
            if kind == "workflow_approved":
                approved.add(event["plan_sha256"])
        if kind == "task_started" and not approved:
            yield f"I6: {story.id}: the task {event['task_id']} began before anybody approved"
        if kind == "work_handed_in" and event["plan_sha256"] not in approved:
            yield f"I6: {story.id}: work was handed in of a plan that nobody approved"
    for decided_block, times in decided.items():
        if times > 1:
            yield f"I6: {story.id}: the block {decided_block} was decided {times} times"
    if view.get("status") == "completed" and not approved:
        yield f"I6: {story.id} is completed and nobody approved"
    said = dict(story.said)
    for verb, kind in _RECORDED.items():
        told, times = [v for v, _ in story.said].count(verb), sum(e["type"] == kind for e in journal)
        if told != times:
            yield f"I1: {story.id}: {told} times {verb} was accepted, and {kind} is there {times} times"
    if "cancel" in said and "retry" not in said and view.get("status") != "cancelled":
        yield f"I8: {story.id}: its cancel was accepted and it is {view.get('status')}"
    if view.get("status") == "cancelled" and "cancel" not in said:
        yield f"I1: {story.id} is cancelled and nobody asked for it"


def _tasks(story: Story, journal: list[Event], view: dict[str, Any]) -> Iterator[str]:
    """Begun anew, all of them are done again; the merge of two is no task of the plan."""
    anew = max((n for n, e in enumerate(journal) if e["type"] == "workflow_retried" and e.get("start")), default=0)
    done = Counter(
        e["task_id"] for e in journal[anew:] if e["type"] == "task_completed" and not e["task_id"].startswith("merge-")
    )
    for task, times in done.items():
        if times > 1:
            yield f"I2: {story.id}: the task {task} was completed {times} times"
    if view.get("status") == "completed" and set(done) != set(story.tasks):
        yield f"I2: {story.id} is completed with the tasks {sorted(done)}, the plan was {sorted(story.tasks)}"
