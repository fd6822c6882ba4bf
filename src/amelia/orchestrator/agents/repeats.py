"""Notices an agent that goes in circles: the same call, with the same result, again and again."""

import re
from collections.abc import Iterator, Sequence

import msgspec

from ...drivers.base import Message, ToolCall, ToolResult
from ...tools.toolbox import CHANGING, one_line

NOTED = 3
ENDED = 5
"""So often a call fails in the same way, with nothing changed in between; twice as often when something was."""
NOTED_WELL = 6
ENDED_WELL = 12
"""So often a call succeeds in the same way, with nothing changed in between."""
_FAILED = re.compile(r"\A(exit code (?!0\b)|killed)")
_PASSING = re.compile(
    r"\b\d+\.\d+\b|\b\d+ ?(?:ms|s|sec|seconds)\b|\b0x[0-9a-f]+\b|/tmp/[\w./-]+|\boutput-[\w.-]+\.txt\b", re.IGNORECASE
)
"""What differs from run to run and says nothing: times, addresses, names of temporary files and of kept outputs."""


class Streak(msgspec.Struct, kw_only=True):
    """``weight`` counts halves: two for a repetition with nothing changed since, one for another; ``was`` is what it
    was before the last one."""

    result: str
    content: str
    failed: bool
    changes: int
    times: int = 1
    weight: int = 2
    was: int = 0


class Circle(msgspec.Struct, frozen=True, kw_only=True):
    """What the newest turn repeated. ``ends``: it has been told, and went on all the same."""

    tool: str
    times: int
    failed: bool
    content: str
    ends: bool

    @property
    def cause(self) -> str:
        how = f"failed in the same way {self.times} times" if self.failed else f"had the same result {self.times} times"
        return f"the agent went in circles: {self.tool} {how}: {one_line(self.content, 300)}"

    def note(self, answer_tool: str) -> str:
        how = "failed in the same way" if self.failed else "brought the same result"
        return (
            f"You have called {self.tool} with the same arguments {self.times} times, and it {how} each time. Once "
            "more will not change that: find out why, or go about it in another way. If there is none, say what "
            f"stands in the way with {answer_tool}. The work is ended when this goes on."
        )


def circle(messages: Sequence[Message]) -> Circle | None:
    """Of the newest turn's calls the one that is to be told of, or that ends the work; None when there is none."""
    streaks: dict[str, Streak] = {}
    seen: set[tuple[str, str]] = set()
    changes, found = 0, list[Circle]()
    for call, result, newest in _pairs(messages):
        key = f"{call.name} {msgspec.json.encode(call.arguments, order='sorted').decode()}"
        failed = result.is_error or bool(_FAILED.match(result.content))
        kept = _PASSING.sub("…", result.content)
        before = streaks.get(key)
        if before is None or before.result != kept or (not failed and before.changes != changes):
            streak = Streak(result=kept, content=result.content, failed=failed, changes=changes)
        else:
            streak = _longer(before, changes)
        streaks[key] = streak
        if newest and (circled := _circled(call, streak)):
            found.append(circled)
        if call.name in CHANGING and not failed and (key, kept) not in seen:
            changes += 1
            streak.changes = changes
        seen.add((key, kept))
    return max(found, key=lambda one: (one.ends, one.times), default=None)


def _longer(streak: Streak, changes: int) -> Streak:
    weight = 2 if streak.changes == changes else 1
    streak.was, streak.weight = streak.weight, streak.weight + weight
    streak.times, streak.changes = streak.times + 1, changes
    return streak


def _circled(call: ToolCall, streak: Streak) -> Circle | None:
    noted, ended = (NOTED, ENDED) if streak.failed else (NOTED_WELL, ENDED_WELL)
    ends = streak.weight >= 2 * ended
    if not ends and not streak.was < 2 * noted <= streak.weight:
        return None
    return Circle(tool=call.name, times=streak.times, failed=streak.failed, content=streak.content, ends=ends)


def _pairs(messages: Sequence[Message]) -> Iterator[tuple[ToolCall, ToolResult, bool]]:
    """Every call with its result, in order; whether they are the newest turn's."""
    calls: dict[str, ToolCall] = {}
    for number, message in enumerate(messages):
        for part in message.parts:
            match part:
                case ToolCall():
                    calls[part.id] = part
                case ToolResult() if part.call_id in calls:
                    yield calls[part.call_id], part, number == len(messages) - 1
