"""Text of strangers made safe to show where mentions, references and tags have effects. Words and looks stay."""

import re

from ..redaction.shapes import without_shapes

_BREAK = "\u200b"
"""A zero-width space: invisible, and no name, reference or tag goes over it."""

_EFFECTS = (
    re.compile(r"&(?=[#\w])"),  # a character by another name
    re.compile(r"@(?=\w)"),  # somebody is told
    re.compile(r"#(?=\d)"),  # another issue gets a reference
    re.compile(r"\bGH-(?=\d)", re.IGNORECASE),
    re.compile(r"/(?=(?:issues|pull|discussions)/\d)", re.IGNORECASE),
    re.compile(r"<(?=[A-Za-z/!?])"),  # a tag or a comment, which could be a marker of ours
    re.compile(r"!(?=\[)"),  # an image, fetched when it is looked at
)
_CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]")
_SECRETS = re.compile(
    r"gh[oprsu]_[A-Za-z0-9]{20,}|github_pat_\w{20,}|glpat-[\w-]{20,}|(?:AKIA|ASIA)[A-Z0-9]{16}|xox[abprs]-[\w-]{10,}"
    r"|sk-[\w-]{20,}|eyJ[\w-]{10,}\.[\w-]{10,}\.[\w-]{10,}"
    r"|-----BEGIN [A-Z ]*PRIVATE KEY-----.*?(?:-----END [A-Z ]*PRIVATE KEY-----|\Z)|(?<=://)[^/@\s]+@",
    re.DOTALL,
)
_FENCE = re.compile(r"^ {0,3}(?:```|~~~)", re.MULTILINE)


def printable(text: str) -> str:
    """Without what steers a terminal or turns the direction of the text; tabs and line breaks stay."""
    return _CONTROL.sub("", text)


def neutral(text: str, limit: int) -> str:
    """At most about ``limit`` characters, the middle elided; a block of code that is left open is closed."""
    plain = printable(_without_secrets(text.replace("\r\n", "\n"))).strip()
    plain = elided(plain, limit)
    for effect in _EFFECTS:
        plain = effect.sub(lambda found: found[0] + _BREAK, plain)
    return plain + "\n```" if len(_FENCE.findall(plain)) % 2 else plain


def _without_secrets(text: str) -> str:
    return _SECRETS.sub("…", without_shapes(text, lambda _: "…"))


def line(text: str, limit: int) -> str:
    """``neutral`` and without line breaks; what is too long ends in an ellipsis."""
    unfenced = text.replace("```", "`").replace("~~~", "~")
    flat = neutral(" ".join(unfenced.split()), max(limit * 4, 2000))
    return flat if len(flat) <= limit else flat[: limit - 1].rstrip() + "…"


def elided(text: str, limit: int) -> str:
    """The first and the last part of what is longer than ``limit`` characters, with a note between them."""
    if len(text) <= limit:
        return text
    note = f"\n\n… {len(text) - limit} characters elided …\n\n"
    room = max(0, limit - len(note))
    return text[: room - room // 2] + note + (text[-(room // 2) :] if room // 2 else "")
