"""One verdict out of those of several reviewers."""

import re
from collections.abc import Mapping
from difflib import SequenceMatcher

import msgspec

from ...contract.plan import Comment, Verdict

SENDS_BACK = frozenset({"major", "blocker"})
_WEIGHT = {"blocker": 0, "major": 1, "minor": 2, "info": 3}
ALIKE = 0.75
"""From here on two messages about one place say the same."""
NEAR = 3
"""Lines apart that are still one place."""


class Point(msgspec.Struct):
    """One thing that was said, by whom and how seriously each takes it. ``comment`` is that of the most serious."""

    comment: Comment
    by: dict[str, str]

    def takes(self, name: str, comment: Comment) -> bool:
        """Whether it is the same point; if so, it is folded into this one."""
        if not (_one_place(self.comment, comment) and _alike(self.comment.message, comment.message)):
            return False
        graver = self.by.get(name)
        if graver is None or _WEIGHT[comment.severity] < _WEIGHT[graver]:
            self.by[name] = comment.severity
        if _rank(comment) < _rank(self.comment):
            self.comment = comment
        return True

    def said(self) -> Comment:
        agreed = len(set(self.by.values())) == 1
        who = ", ".join(name if agreed else f"{name}: {severity}" for name, severity in self.by.items())
        return msgspec.structs.replace(self.comment, message=f"[{who}] {self.comment.message}")


def merged(verdicts: Mapping[str, Verdict]) -> Verdict:
    """By reviewer. It approves when all of them do; any major or blocker sends back. What several say is said once,
    as gravely as the gravest of them sees it, with the names of all."""
    points: list[Point] = []
    for name, verdict in verdicts.items():
        for comment in verdict.comments:
            if not any(point.takes(name, comment) for point in points):
                points.append(Point(comment=comment, by={name: comment.severity}))
    comments = sorted((point.said() for point in points), key=lambda c: (_WEIGHT[c.severity], c.file, c.line))
    sends_back = any(comment.severity in SENDS_BACK for comment in comments)
    return Verdict(
        approved=all(verdict.approved for verdict in verdicts.values()) and not sends_back,
        summary=_summary(verdicts),
        comments=tuple(comments),
    )


def _summary(verdicts: Mapping[str, Verdict]) -> str:
    said: dict[tuple[bool, str], list[str]] = {}
    for name, verdict in verdicts.items():
        said.setdefault((verdict.approved, verdict.summary.strip()), []).append(name)
    return "\n".join(
        f"{', '.join(names)} ({'approved' if approved else 'sent back'}): {text}"
        for (approved, text), names in said.items()
    )


def _one_place(one: Comment, other: Comment) -> bool:
    if one.file != other.file:
        return False
    return not (one.line and other.line) or abs(one.line - other.line) <= NEAR


def _alike(one: str, other: str) -> bool:
    first, second = _words(one), _words(other)
    if first == second:
        return True
    shared, all_ = set(first) & set(second), set(first) | set(second)
    if all_ and len(shared) / len(all_) >= ALIKE:
        return True
    return SequenceMatcher(None, first, second, autojunk=False).ratio() >= ALIKE


def _words(message: str) -> list[str]:
    return re.findall(r"\w+", message.lower())


def _rank(comment: Comment) -> tuple[int, bool, int]:
    return _WEIGHT[comment.severity], not comment.line, -len(comment.message)
