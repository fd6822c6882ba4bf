"""Replaces secrets in texts, in bytes and in whatever is made of them."""

import binascii
import os
import re
from collections.abc import Iterable
from functools import cache
from typing import Any, TypeVar

import msgspec

from .known import SHORTEST, forms, in_environment
from .shapes import looks_secret, names_secret, without_shapes, without_tokens

T = TypeVar("T")

MARK = re.compile(r"\[redacted:[A-Za-z0-9_.-]+\]")
"""What stands for a secret."""
_BUNDLES = (b"# v2 git bundle\n", b"# v3 git bundle\n")
_PATCH = b"diff --git "
_BINARY = re.compile(rb"(^GIT binary patch\n(?:(?:literal|delta) \d+\n(?:[A-Za-z][!-~]{5,65}\n)*\n)+)", re.MULTILINE)
"""As ``git diff --binary`` writes a file: by lines of what is compressed, in base85."""
_REMEMBERED = 4_000_000
"""Characters of texts that were looked at before, and are asked about again at every turn of an agent."""
_LONG = 200
_MOST_KNOWN = 4_000
_CUT_OFF = 64
"""Characters of base64 from which on it may be a piece that begins in the middle of a group."""
_ENCODED = re.compile(
    r"(?<![A-Za-z0-9+/_-])"
    r"(?:[A-Za-z0-9+/_-]{60,}(?:\r?\n[A-Za-z0-9+/_-]{60,})*(?:\r?\n[A-Za-z0-9+/_-]+={0,2}(?=\s|$))?|[A-Za-z0-9+/_-]{16,})={0,2}"
)
"""What may be base64, also in lines as programs wrap it."""


class Redactor:
    """Knows secrets by value, and others by their shape. To clean what is clean changes nothing, and what is unchanged
    is given back as the same object."""

    def __init__(self, known: Iterable[tuple[str, str]] = (), *, of_model: bool = False) -> None:
        """``of_model``: see ``invented``."""
        self.invented: Redactor = self if of_model else Redactor(of_model=True)
        """For what a model made up: a value that it assigns to a password is its own invention, since it was shown
        none. This one knows the same values, and of shapes those of tokens and keys alone."""
        self._forms: dict[str, str] = {}
        self._entrusted: set[str] = set()
        self._remembered: dict[str, str] = {}
        self._size = 0
        self.learn_all(known)

    def learn(self, kind: str, value: str) -> None:
        """From now on the value is a secret, in its usual encodings too. One of less than eight characters is not."""
        self.learn_all([(kind, value)])

    def learn_all(self, known: Iterable[tuple[str, str]], *, entrusted: bool = True) -> None:
        """Kinds and values, as ``learn`` takes them. ``entrusted`` to this program, not found in what it works on."""
        known = list(known)
        if self.invented is not self:
            self.invented.learn_all(known, entrusted=entrusted)
        fresh: dict[str, str] = {}
        for kind, value in known:
            value = value.strip()
            if len(value) >= SHORTEST and value not in self._forms and len(self._forms) + len(fresh) < _MOST_KNOWN:
                name = re.sub(r"[^A-Za-z0-9_.-]+", "-", kind) or "secret"
                fresh |= {form: name for form in forms(value) if len(form) >= SHORTEST and form not in self._forms}
        if fresh:
            self._entrusted |= fresh.keys() if entrusted else set()
            self._forms = dict(sorted({**self._forms, **fresh}.items(), key=lambda item: -len(item[0])))
            self._remembered, self._size = {}, 0

    def betrayed(self, data: bytes, before: bytes = b"") -> str:
        """The kind of a secret entrusted to this program that stands in there, and did not ``before``; empty when there
        is none."""
        text, old = data.decode("utf-8", "surrogateescape"), before.decode("utf-8", "surrogateescape")
        return next((self._forms[form] for form in self._entrusted if form in text and form not in old), "")

    def text(self, text: str) -> str:
        if len(text) < SHORTEST:
            return text
        if len(text) < _LONG:
            return self._clean(text)
        found = self._remembered.get(text)
        if found is None:
            found = self._clean(text)
            if self._size > _REMEMBERED:
                self._remembered, self._size = {}, 0
            self._remembered[text] = found
            self._size += len(text)
        return text if found == text else found

    def data(self, data: bytes) -> bytes:
        """Text in any encoding that ASCII is part of; JSON, also in lines, by its strings. Of a git bundle only what it
        says of the commits it builds upon: what it holds is compressed, and the repository's own. So are binary files
        in a patch."""
        if data.startswith(_BUNDLES):
            return self._bundle(data)
        if data.startswith(_PATCH):
            return self._patch(data)
        if data[:1] in (b"{", b"["):
            cleaned = self._json(data)
            if cleaned is not None:
                return cleaned
        return self._text_in(data)

    def _text_in(self, data: bytes) -> bytes:
        text = data.decode("utf-8", "surrogateescape")
        return data if (clean := self.text(text)) == text else clean.encode("utf-8", "surrogateescape")

    def value(self, value: T) -> T:
        """Of structs, mappings and sequences every text in them."""
        found: Any = self._value(value)
        return found  # type: ignore[no-any-return]

    def error(self, error: Exception) -> None:
        """Cleans what the error says."""
        error.args = self._value(error.args)

    def _bundle(self, data: bytes) -> bytes:
        """In its header, ``-COMMIT title`` names what has to be there already."""
        head, between, rest = data.partition(b"\n\n")
        lines = [self.data(line) if line.startswith(b"-") else line for line in head.split(b"\n")]
        clean = b"\n".join(lines)
        return data if clean == head else clean + between + rest

    def _patch(self, data: bytes) -> bytes:
        parts = [part if number % 2 else self._text_in(part) for number, part in enumerate(_BINARY.split(data))]
        clean = b"".join(parts)
        return data if clean == data else clean

    def _json(self, data: bytes) -> bytes | None:
        """None when it is none."""
        lines = data.split(b"\n")
        try:
            values = [msgspec.json.decode(line) if line.strip() else None for line in lines]
        except (msgspec.DecodeError, RecursionError):
            try:
                lines, values = [data], [msgspec.json.decode(data)]
            except (msgspec.DecodeError, RecursionError):
                return None
        cleaned = [self._value(value) for value in values]
        if all(now is was for now, was in zip(cleaned, values, strict=True)):
            return data
        pairs = zip(lines, values, cleaned, strict=True)
        return b"\n".join(line if now is was else msgspec.json.encode(now) for line, was, now in pairs)

    def _value(self, value: Any) -> Any:
        match value:
            case str():
                return self.text(value)
            case bytes():
                return self.data(value)
            case dict():
                fresh = {self._value(key): self._field(key, item) for key, item in value.items()}
                same = all(a is b and value[a] is fresh[b] for a, b in zip(value, fresh, strict=False))
                return value if same and len(fresh) == len(value) else fresh
            case list() | tuple():
                items = [self._value(item) for item in value]
                same = all(a is b for a, b in zip(items, value, strict=True))
                return value if same else type(value)(items)
            case msgspec.Struct():
                named = {name: getattr(value, name) for name in value.__struct_fields__}
                changed = {name: now for name, was in named.items() if (now := self._value(was)) is not was}
                return msgspec.structs.replace(value, **changed) if changed else value
            case _:
                return value

    def _field(self, key: object, item: Any) -> Any:
        if self.invented is self:
            return self._value(item)
        if isinstance(key, str) and isinstance(item, str) and names_secret(key) and looks_secret(item):
            return item if MARK.fullmatch(item) else f"[redacted:{_kind(key)}]"
        return self._value(item)

    def _clean(self, text: str) -> str:
        clean = self._without_encoded(self._plain(text))
        return text if clean == text else clean

    def _plain(self, text: str) -> str:
        for form, kind in self._forms.items():
            if form in text:
                text = text.replace(form, f"[redacted:{kind}]")
        shapes = without_tokens if self.invented is self else without_shapes
        return shapes(text, lambda kind: f"[redacted:{kind}]")

    def _without_encoded(self, text: str) -> str:
        return _ENCODED.sub(self._decoded, text)

    def _decoded(self, found: re.Match[str]) -> str:
        run = found[0]
        data = "".join(run.split()).rstrip("=").replace("-", "+").replace("_", "/")
        for start in range(4 if len(data) >= _CUT_OFF else 1):
            inside = _readable(data[start:])
            if inside and self._plain(inside) != inside:
                return "[redacted:base64]"
        return run


def _readable(data: str) -> str:
    """What base64 says when it is mostly text, of which the ends may be cut off; empty when it is none."""
    data = data[: len(data) - (len(data) % 4 == 1)]
    try:
        text = binascii.a2b_base64(data + "=" * (-len(data) % 4)).decode(errors="replace")
    except binascii.Error:
        return ""
    odd = sum((not c.isprintable() and c not in "\n\r\t") or c == "\ufffd" for c in text[:400])
    return text if odd * 10 <= min(len(text), 400) else ""


def _kind(key: str) -> str:
    return re.sub(r"[^A-Za-z0-9_.-]+", "-", key)[:60] or "secret"


@cache
def ours() -> Redactor:
    """This program's: it knows what its environment holds, and learns what it is given later. The one thing of its
    kind, as the program's log is."""
    return Redactor(in_environment(os.environ))
