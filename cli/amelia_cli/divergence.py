"""Where a workflow that is played again goes another way than it did."""

import re
from collections.abc import Iterable, Iterator, Sequence

import msgspec

from amelia.domain.recorded import Recorded

from .conversing import Held, Spoken
from .volatile import lasting, same

ENDED = "it had ended"
_REFUSED = re.compile(r"\b(?:Anthropic|OpenAI|Bedrock|Claude Code) refused the \w+ \(.*")
"""A model that is played refuses what its file has no answer for, and names the file."""


class Divergence(msgspec.Struct, frozen=True, kw_only=True):
    """``where`` names the agent, its task, round and turn; ``what`` differs there."""

    where: str
    what: str
    before: str
    now: str


def divergences(before: Sequence[Held], now: Sequence[Held]) -> Iterator[Divergence]:
    """The first of each conversation, in the order in which they began when they were recorded. One in which the model
    said nothing is in no file, so that it is neither missed nor new."""
    there = {(one.agent, one.task, one.round): one for one in now}
    for one in before:
        other = there.pop((one.agent, one.task, one.round), None)
        if other is None:
            was = f"{len(one.turns)} turns"
            yield Divergence(where=where(one), what="the conversation", before=was, now="was not held")
        else:
            found = next(_in_turns(one, other), None)
            if found is not None:
                yield found
    for other in filter(lambda one: one.turns, there.values()):
        yield Divergence(where=where(other), what="the conversation", before="was not held", now=_brief(other.turns[0]))


def outcomes(before: Recorded, now: Recorded) -> Iterator[Divergence]:
    """Of the workflow as a whole."""
    if before.plan_sha256 and before.plan_sha256 != now.plan_sha256:
        yield Divergence(where="the plan", what="its hash", before=before.plan_sha256, now=now.plan_sha256 or "none")
    for task, status in before.tasks.items():
        if now.tasks.get(task) != status:
            came = now.tasks.get(task, "was not begun")
            yield Divergence(where=f"task {task}", what="what became of it", before=status, now=came)
    if lasting(before.diff) != lasting(now.diff):
        yield Divergence(where="the work", what="its diff", before=before.diff, now=now.diff)
    if before.result and before.result != now.result:
        was, is_ = (f"{one.result}: {one.reason}".rstrip(": ") for one in (before, now))
        yield Divergence(where="the workflow", what="how it ended", before=was, now=is_)


def prompts(before: Sequence[Held], now: Sequence[Held]) -> Iterator[Divergence]:
    """Where agents were told something else to begin with: what a new version says in other words, first of all."""
    there = {(one.agent, one.task, one.round): one for one in now}
    for one in before:
        other = there.get((one.agent, one.task, one.round))
        if other is None or not one.turns or not other.turns:
            continue
        was, is_ = one.turns[0].after, other.turns[0].after
        if was and not _same(was, is_):
            yield Divergence(where=where(one, 1), what="what it was told first", before=_text(was), now=_text(is_))


def where(one: Held, turn: int = 0) -> str:
    task = f", task {one.task}" if one.task else ""
    return f"{one.agent}{task}, round {one.round}" + (f", turn {turn}" if turn else "")


def _in_turns(before: Held, now: Held) -> Iterator[Divergence]:
    for number, turn in enumerate(before.turns, 1):
        if number > len(now.turns):
            ended = _text(now.ended) or ENDED
            yield Divergence(where=where(before, number), what="the turn", before=_brief(turn), now=ended)
            return
        if number > 1 and turn.after:
            asked = before.turns[number - 2]
            yield from _told(where(before, number), asked, turn.after, now.turns[number - 1].after)
    last = before.turns[-1] if before.turns else None
    if len(now.turns) > len(before.turns):
        further = _brief(now.turns[len(before.turns)])
        yield Divergence(where=where(before, len(before.turns) + 1), what="the turn", before=ENDED, now=further)
    elif before.ended and last is not None:
        yield from _told(f"{where(before)}, after turn {len(before.turns)}", last, before.ended, now.ended)


def _told(place: str, asked: Spoken, before: Sequence[str], now: Sequence[str]) -> Iterator[Divergence]:
    """What it was told after what it had ``asked``: results of its calls first, in their order."""
    if _same(before, now):
        return
    for number, (one, other) in enumerate(zip(before, now, strict=False)):
        if not _same([one], [other]):
            called = asked.calls[number].name if number < len(asked.calls) else ""
            what = f"the result of {called}" if called else "what it was told"
            yield Divergence(where=place, what=what, before=one, now=other)
            return
    yield Divergence(where=place, what="what it was told", before=_text(before), now=_text(now))


def _brief(turn: Spoken) -> str:
    calls = ", ".join(f"{call.name} {msgspec.json.encode(call.arguments).decode()[:200]}" for call in turn.calls)
    return " / ".join(filter(None, (turn.say[:400], calls)))


def _text(parts: Sequence[str]) -> str:
    return "\n".join(parts)


def _same(one: Iterable[str], other: Iterable[str]) -> bool:
    return same(*([_REFUSED.sub("the model refused", text) for text in texts] for texts in (one, other)))
