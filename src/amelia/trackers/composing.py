"""An issue put together from what a tracker has: the description, then the comments, within bounds."""

import re
from collections.abc import Iterable, Sequence

import msgspec

from ..contract.workflow import Issue
from ..domain.neutral import elided

MOST_CHARACTERS = 60_000
"""Of a body. Every model reads it with each plan; four bytes a character at most keep it within an event."""
_DESCRIPTION = 40_000
_TITLE, _LABEL, _LABELS = 300, 200, 100
_CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f\u202a-\u202e\u2066-\u2069]")
_OURS = re.compile(r"amelia: wf-|amelia wf-[0-9a-f-]+/(?:start|block|completion)/\d+")


class Remark(msgspec.Struct, frozen=True, kw_only=True):
    """A comment of a person's: Markdown, ``at`` as the tracker writes times."""

    by: str
    at: str
    text: str


def composed(
    *,
    id: str,  # noqa: A002 - as the issue has it
    title: str,
    body: str,
    labels: Iterable[str] = (),
    url: str = "",
    remarks: Sequence[Remark] = (),
    left_out: int = 0,
) -> Issue:
    """The newest comments have precedence; ``left_out`` older ones were not even read. Our own comments are not told:
    they would be read as somebody's wish."""
    text = elided(_clean(body), _DESCRIPTION)
    kept: list[str] = []
    room = MOST_CHARACTERS - len(text) - 200
    theirs = [remark for remark in remarks if not is_ours(remark.text)]
    for remark in reversed(theirs):
        said = _said(remark)
        if len(said) > room:
            if kept or room < 1_000:
                break
            said = elided(said, room - 100)
        kept.insert(0, said)
        room -= len(said) + 2
    left_out += len(theirs) - len(kept)
    note = f"({left_out} older comments are left out: the issue is too long.)" if left_out else ""
    whole = "\n\n".join(part for part in (text, "---" if kept or note else "", note, *kept) if part)
    named = [" ".join(_clean(label).split())[:_LABEL] for label in labels]
    return Issue(
        id=id[:200],
        title=_line(title) or id[:_TITLE],
        body=whole,
        labels=tuple(name for name in named if name)[:_LABELS],
        url=url[:2_000],
    )


def is_ours(text: str) -> bool:
    return bool(_OURS.search(text))


def _said(remark: Remark) -> str:
    when = f", {remark.at[:16].replace('T', ' ')}" if remark.at else ""
    return f"**Comment by {_line(remark.by) or 'somebody'}{when}**\n\n{_clean(remark.text) or '(empty)'}"


def _line(text: str) -> str:
    flat = " ".join(_clean(text).split())
    return flat if len(flat) <= _TITLE else flat[: _TITLE - 1].rstrip() + "…"


def _clean(text: str) -> str:
    return _CONTROL.sub("", text.replace("\r\n", "\n")).strip()
