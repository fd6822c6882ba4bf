"""What differs between two runs that did the same: when, for how long, where, under which hash."""

import re
from collections.abc import Iterable

_RULES: tuple[tuple[re.Pattern[str], str], ...] = tuple(
    (re.compile(pattern), instead)
    for pattern, instead in (
        (r"\bwf-[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}\b", "<workflow>"),
        (r"(?:/[^\s:'\"()/]+)+/lanes/[^\s:'\"()/]+/(tree|home)(?=[/\s:'\"()]|$)", r"<\1>"),
        (r"(?:/[^\s:'\"()/]+)+/(tree|home)(?=[/\s:'\"()]|$)", r"<\1>"),
        (r"/(?:tmp|var/tmp|private/tmp|var/folders)/[^\s:'\"()]+", "<temporary>"),
        (r"\b\d{4}-\d\d-\d\d[T ]\d\d:\d\d(?::\d\d(?:[.,]\d+)?)?(?:Z|[+-]\d\d:?\d\d)?", "<time>"),
        (r"\b\d\d:\d\d:\d\d(?:[.,]\d+)?\b", "<time>"),
        (r"\b0x[0-9a-fA-F]+\b", "<address>"),
        (r"\b(?=[0-9a-f]*[a-f])(?=[0-9a-f]*\d)[0-9a-f]{7,64}\b", "<hash>"),
        (r"(?m)(^|\bcommit )[0-9a-f]{7,64}(?=\s|$)", r"\1<hash>"),
        (r"\b(duration_ms:? )\d+(?:\.\d+)?", r"\1<duration>"),
        (r"(?<![\w.])\d+(?:\.\d+)? ?(?:ns|us|µs|ms|s|secs?|seconds?|min|minutes?)\b", "<duration>"),
        (r"\bpid[ =:]+\d+", "pid <number>"),
    )
)


def lasting(text: str) -> str:
    """The text without what is another one each time."""
    for pattern, instead in _RULES:
        text = pattern.sub(instead, text)
    return text.strip()


def same(one: Iterable[str], other: Iterable[str]) -> bool:
    return [lasting(text) for text in one] == [lasting(text) for text in other]
