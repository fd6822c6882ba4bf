"""The invariants, judged from the outside: ``python -m tests.chaos.check EVIDENCE.json`` judges again."""

import sys
from collections import Counter
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path
from typing import Any

import msgspec
from tests.chaos import journal
from tests.chaos.evidence import Branch, Evidence, Story
from tests.chaos.issues import file_of

Event = dict[str, Any]

_ENDED = frozenset({"completed", "failed", "cancelled"})
_MEANT = {
    "approve": {"completed"},
    "auto": {"completed"},
    "reject": {"failed"},
    "leave": {"blocked"},
    "broken": {"failed"},
    "cancel": {"cancelled", "completed"},
    "pause": {"completed"},
    "revise": {"completed"},
    "retry": {"completed"},
    "tell": {"completed"},
}


def check(seen: Evidence) -> list[str]:
    """Every violation, in a sentence that begins with the invariant's name and the workflow's id."""
    return sorted(
        {
            *_nothing_is_lost(seen),
            *_what_was_wrong_at_once(seen),
            *_streams(seen),
            *_branches(seen),
            *_pulls(seen),
            *_bus(seen),
            *(f"I8/I9: a session runs for {one}, which waits for nobody or has ended" for one in seen.waiting),
            *(f"I9: after down there is still {one}" for one in seen.left),
            *(said for story in seen.stories if story.id in seen.journals for said in journal.judged(seen, story)),
        }
    )


def _nothing_is_lost(seen: Evidence) -> Iterator[str]:
    for story in seen.stories:
        if len(set(story.answers)) > 1:
            yield f"I1: the key {story.key} started {sorted(set(story.answers))}"
        if not story.id:
            yield f"I1: {story.issue} was never accepted"
        elif story.id not in seen.views:
            yield f"I1: {story.id} was accepted and is not there"
        elif (status := seen.views[story.id]["status"]) not in _MEANT[story.intent]:
            reason = seen.views[story.id].get("reason", "")
            yield f"I1: {story.id} was to {story.intent} and is {status}: {reason}"
    known = {one for story in seen.stories for one in story.answers}
    for one in set(seen.listed) - known:
        yield f"I1: {one} is there and nobody started it"
    for one, times in Counter(seen.listed).items():
        if times > 1:
            yield f"I1: {one} is listed {times} times"


def _what_was_wrong_at_once(seen: Evidence) -> Iterator[str]:
    for story in seen.stories:
        for wrong in story.wrong:
            yield f"I1/I6: {story.id or story.issue}: {wrong}"
        for before, after in pairwise(story.polls):
            if before in _ENDED and not any(verb == "retry" for verb, _ in story.said):
                yield f"I4: {story.id} was {before} and then {after}"


def _streams(seen: Evidence) -> Iterator[str]:
    for reading in seen.readings:
        journal = seen.journals.get(reading.workflow, [])
        where = f"I3: {reading.workflow}: a subscriber after {reading.after}"
        numbers = [sequence for sequence, _ in reading.seen]
        if numbers != list(range(reading.after + 1, reading.after + 1 + len(numbers))):
            yield f"{where} saw {numbers}"
            continue
        for sequence, event in reading.seen:
            if sequence > len(journal) or journal[sequence - 1]["id"] != event:
                yield f"{where} saw {event} as {sequence}, the journal has another"


def _branches(seen: Evidence) -> Iterator[str]:
    stories = {story.id: story for story in seen.stories if story.id}
    names = {view["branch"]: one for one, view in seen.views.items() if view["branch"]}
    pushed: dict[str, list[Branch]] = {}
    for branch in seen.branches:
        owner = names.get(branch.name, "")
        if owner not in stories or not stories[owner].repository.startswith(branch.repository):
            yield f"I5: {branch.repository} has the branch {branch.name}, which is no workflow's"
            continue
        pushed.setdefault(owner, []).append(branch)
    for one, view in seen.views.items():
        found = pushed.get(one, [])
        if view["status"] == "completed" and [b.commit for b in found] != [view["commit"]]:
            yield f"I5: {one} is completed at {view['commit']}, its branch is at {[b.commit for b in found]}"
        if view["status"] != "completed" and found:
            yield f"I8: {one} is {view['status']} and has the branch {found[0].name}"
        for branch in found:
            yield from _content(stories[one], branch)


def _content(story: Story, branch: Branch) -> Iterator[str]:
    wanted = {file_of(story.issue, task): f"{story.issue} {task} done\n" for task in story.tasks}
    if branch.files != wanted:
        yield f"I2: {story.id}: {branch.name} changes {branch.files}, the plan was {wanted}"
    if len(branch.commits) != len(story.tasks):
        yield f"I2: {story.id}: {branch.name} has {len(branch.commits)} commits for {len(story.tasks)} tasks"


def _pulls(seen: Evidence) -> Iterator[str]:
    for (repository, head), times in Counter((p["repository"], p["head"]) for p in seen.pulls).items():
        if times > 1:
            yield f"I5: {repository} has {times} pull requests of {head}"
    opened = {pull["head"]: pull for pull in seen.pulls if pull["state"] == "open"}
    for story in seen.stories:
        view = seen.views.get(story.id)
        if view is None:
            continue
        pull = opened.pop(view["branch"], None)
        if view["status"] == "completed" and story.proposes and (pull is None or pull["sha"] != view["commit"]):
            yield f"I5: {story.id} is completed at {view['commit']} and its pull request is {pull}"
        if view["status"] != "completed" and pull is not None:
            yield f"I8: {story.id} is {view['status']} and its pull request is open"
    for head in opened:
        yield f"I5: a pull request of {head}, which is no workflow's"


def _bus(seen: Evidence) -> Iterator[str]:
    """What the control plane recorded was published, and nothing else was. The journal's numbers are its own."""
    recorded = {e["id"]: e for journal in seen.journals.values() for e in journal if not _from_a_runtime(e)}
    for where, said in (("published", seen.published), ("heard", seen.heard)):
        for detail in said:
            kept = recorded.get(detail["id"])
            if kept is None:
                yield f"I1: {detail['workflow_id']}: {detail['type']} was {where} and is not in the journal"
            elif {**detail, "sequence": 0} != {**kept, "sequence": 0}:
                yield f"I1: {detail['workflow_id']}: {detail['type']} was {where} otherwise than it was recorded"
    published = {detail["id"] for detail in seen.published}
    for one, kept in recorded.items():
        if one not in published:
            yield f"I1: {kept['workflow_id']}: {kept['type']} ({kept['sequence']}) was never published"


def _from_a_runtime(event: Event) -> bool:
    return bool(event.get("fact") or event.get("ordinal"))


def main() -> None:
    found = check(msgspec.json.decode(Path(sys.argv[1]).read_bytes(), type=Evidence))
    print("\n".join(found) or "no violation")
    sys.exit(1 if found else 0)


if __name__ == "__main__":
    main()
