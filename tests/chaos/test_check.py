"""The checker itself: it has nothing to say of what is right, and names each thing that is wrong."""

from collections.abc import Callable
from typing import Any

import msgspec
import pytest
from tests.chaos.check import check
from tests.chaos.evidence import Branch, Evidence, Reading, Story

WF = "wf-1"
PLAN = "a" * 64
Spoil = Callable[[Evidence], object]


def event(sequence: int, kind: str, **fields: Any) -> dict[str, Any]:
    return {"id": f"e{sequence}", "sequence": sequence, "type": kind, "workflow_id": WF, **fields}


def right() -> Evidence:
    """One workflow that was approved, worked in two attempts, and delivered as a pull request."""
    journal = [
        event(1, "workflow_submitted"),
        event(2, "attempt_opened", attempt=1),
        event(3, "workflow_started", attempt=1, fact=1),
        event(4, "tool_called", attempt=1, ordinal=1),
        event(5, "workflow_blocked", attempt=1, fact=2, plan_sha256=PLAN),
        event(6, "workflow_approved", block_id="e5", plan_sha256=PLAN),
        event(7, "attempt_opened", attempt=2),
        event(8, "task_started", attempt=2, fact=3, task_id="a"),
        event(9, "task_completed", attempt=2, fact=4, task_id="a"),
        event(10, "work_handed_in", attempt=2, fact=5, plan_sha256=PLAN),
        event(11, "workflow_completed", attempt=2, fact=6, result="success"),
        event(12, "branch_pushed", pull_request=True),
        event(13, "pull_request_opened"),
    ]
    story = Story(
        key="1",
        issue="CHAOS-1",
        repository="https://forge/r.git",
        intent="approve",
        proposes=True,
        tasks=("a",),
        answers=[WF, WF],
        said=[("approve", PLAN)],
        polls=["pending", "blocked", "completed"],
    )
    said = [{k: v for k, v in e.items() if k != "sequence"} for e in journal if "fact" not in e and "ordinal" not in e]
    files = {"chaos-1-a.txt": "CHAOS-1 a done\n"}
    return Evidence(
        stories=[story],
        views={WF: {"status": "completed", "branch": "amelia/1", "commit": "c1", "reason": ""}},
        listed=[WF],
        journals={WF: journal},
        readings=[Reading(workflow=WF, after=0, seen=[(1, "e1"), (2, "e2")])],
        branches=[Branch(repository="https://forge/r.git", name="amelia/1", commit="c1", files=files, commits=["c1"])],
        published=said,
        heard=said + said,
        pulls=[{"repository": "chaos/r", "head": "amelia/1", "state": "open", "sha": "c1"}],
    )


def insert(seen: Evidence, *events: dict[str, Any]) -> None:
    """At the end of the journal, published if they are the control plane's."""
    for one in events:
        seen.journals[WF].append({**one, "sequence": len(seen.journals[WF]) + 1, "id": f"n{len(seen.journals[WF])}"})
        if "fact" not in one:
            seen.published.append(seen.journals[WF][-1])


def change(seen: Evidence, place: int, **fields: Any) -> None:
    seen.journals[WF][place - 1].update(fields)


def fail_silently(seen: Evidence) -> None:
    del seen.journals[WF][10:]
    insert(seen, event(0, "workflow_completed", attempt=2, fact=6, result="failed", cause=""))
    seen.views[WF].update(status="failed", reason="")


def not_there(seen: Evidence) -> None:
    seen.views.clear()
    seen.journals.clear()


WRONG: dict[str, Spoil] = {
    "I1: the key 1 started": lambda s: s.stories[0].answers.append("wf-2"),
    "I1: wf-1 was accepted and is not there": not_there,
    "I1: wf-1 was to approve and is failed": lambda s: s.views[WF].update(status="failed", reason="no"),
    "I1: wf-9 is there and nobody started it": lambda s: s.listed.append("wf-9"),
    "I1: wf-1: attempt_opened (2) was never published": lambda s: s.published.pop(1),
    "I1: wf-1: ghost was published and is not": lambda s: s.published.append(event(0, "ghost")),
    "I1/I6: wf-1: approve of another plan": lambda s: s.stories[0].wrong.append("approve of another plan was taken"),
    "I2: wf-1: attempt 1 says task_started": lambda s: change(s, 8, attempt=1),
    "I2: wf-1: attempt 1 was opened after 1": lambda s: change(s, 7, attempt=1),
    "I2: wf-1: amelia/1 changes": lambda s: s.branches[0].files.update({"chaos-1-a.txt": "CHAOS-1 a done\n" * 2}),
    "I2: wf-1: amelia/1 has 2 commits": lambda s: s.branches[0].commits.append("c0"),
    "I2: wf-1: the task a was completed 2 times": lambda s: change(s, 8, type="task_completed"),
    "I3: wf-1: its sequence is": lambda s: change(s, 4, sequence=5),
    "I3: wf-1: fact 4 comes after 4": lambda s: change(s, 10, fact=4),
    "I3: wf-1: a subscriber after 0 saw [1, 3]": lambda s: s.readings[0].seen.__setitem__(1, (3, "e3")),
    "I3: wf-1: a subscriber after 0 saw e9 as 2": lambda s: s.readings[0].seen.__setitem__(1, (2, "e9")),
    "I4: wf-1: attempt_opened (14)": lambda s: insert(s, event(0, "attempt_opened", attempt=3)),
    "I4: wf-1 was completed and then pending": lambda s: s.stories[0].polls.append("pending"),
    "I4: wf-1: its events make it completed": lambda s: s.views[WF].update(status="blocked"),
    "I5: wf-1 is completed at c1, its branch is at []": lambda s: s.branches.clear(),
    "I5: wf-1 is completed at c1 and its pull request is None": lambda s: s.pulls.clear(),
    "I5: chaos/r has 2 pull requests": lambda s: s.pulls.append(s.pulls[0]),
    "I5: https://forge/r.git has the branch stray": lambda s: s.branches.append(
        Branch(repository="https://forge/r.git", name="stray", commit="c1")
    ),
    "I6: wf-1: the task a began before": lambda s: change(s, 6, type="approval_vote"),
    "I6: wf-1: workflow_approved of a plan that was not shown": lambda s: change(s, 6, plan_sha256="b" * 64),
    "I6: wf-1: work was handed in of a plan": lambda s: change(s, 10, plan_sha256="b" * 64),
    "I6: wf-1: the block e5 was decided 2 times": lambda s: insert(
        s, event(0, "workflow_approved", block_id="e5", plan_sha256=PLAN)
    ),
    "I8: wf-1: its cancel was accepted and it is completed": lambda s: s.stories[0].said.append(("cancel", "")),
    "I8: wf-1 is cancelled and has the branch": lambda s: s.views[WF].update(status="cancelled"),
    "I8: wf-1 is cancelled and its pull request is open": lambda s: s.views[WF].update(status="cancelled"),
    "I8/I9: a session runs for wf-1": lambda s: s.waiting.append(WF),
    "I9: after down there is still": lambda s: s.left.append("12 python"),
    "I10: wf-1 failed and no event says why": fail_silently,
}


def test_what_is_right_is_not_complained_about() -> None:
    assert check(right()) == []


@pytest.mark.parametrize("complaint", WRONG)
def test_what_is_wrong_is_named(complaint: str) -> None:
    seen = msgspec.json.decode(msgspec.json.encode(right()), type=Evidence)
    WRONG[complaint](seen)
    assert [found for found in check(seen) if found.startswith(complaint)], check(seen)
