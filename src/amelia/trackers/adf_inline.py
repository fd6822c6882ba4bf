"""Atlassian's document format as Markdown: what stands within a line."""

import re
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

import msgspec


class Mark(msgspec.Struct, frozen=True, kw_only=True):
    type: str = ""
    attrs: dict[str, Any] | None = None


class Node(msgspec.Struct, frozen=True, kw_only=True):
    type: str = ""
    text: str = ""
    attrs: dict[str, Any] | None = None
    marks: list[Mark] | None = None
    content: "list[Node] | None" = None

    @property
    def children(self) -> "list[Node]":
        return self.content or []

    def number(self, name: str, default: int) -> int:
        found = (self.attrs or {}).get(name, default)
        return found if isinstance(found, int) else default


def attribute(node: "Node | Mark", name: str) -> str:
    found = (node.attrs or {}).get(name)
    return found if isinstance(found, str) else "" if found is None else str(found)


def inline(nodes: list[Node], names: Mapping[str, str]) -> str:
    return "".join(_one(node, names) for node in nodes)


def named(kind: str, name: str = "") -> str:
    """What has no Markdown, so that the reader knows that something is there."""
    return f"[{kind}: {name}]" if name else f"[{kind}]" if kind else ""


def code_span(code: str) -> str:
    ticks = "`"
    while ticks in code:
        ticks += "`"
    space = " " if code.startswith("`") or code.endswith("`") else ""
    return f"{ticks}{space}{code}{space}{ticks}"


def _one(node: Node, names: Mapping[str, str]) -> str:
    match node.type:
        case "text":
            return _marked(node)
        case "hardBreak":
            return "  \n"
        case "mention":
            name = attribute(node, "text") or attribute(node, "id")
            return name if name.startswith("@") else f"@{name}"
        case "emoji":
            return attribute(node, "text") or attribute(node, "shortName")
        case "date":
            return _date(attribute(node, "timestamp"))
        case "status":
            return named("status", attribute(node, "text"))
        case "inlineCard" | "blockCard" | "embedCard":
            return _card(node)
        case "media" | "mediaInline":
            return _media(node, names)
        case "inlineExtension":
            return named("extension", attribute(node, "extensionKey"))
        case "placeholder":
            return named("placeholder", attribute(node, "text"))
    return inline(node.children, names) or escaped(node.text) or named(node.type)


def _marked(node: Node) -> str:
    """White space stays outside of what is emphasised: inside it, there would be no emphasis."""
    marks = {mark.type: mark for mark in node.marks or []}
    core = node.text.strip()
    if not core or not marks:
        return node.text if "code" in marks else escaped(node.text)
    start = node.text.index(core)
    before, after = node.text[:start], node.text[start + len(core) :]
    text = code_span(core) if "code" in marks else escaped(core)
    if "subsup" in marks:
        tag = "sup" if attribute(marks["subsup"], "type") == "sup" else "sub"
        text = f"<{tag}>{text}</{tag}>"
    for kind, sign in (("underline", ("<u>", "</u>")), ("strike", ("~~", "~~")), ("em", ("*", "*"))):
        if kind in marks:
            text = sign[0] + text + sign[1]
    if "strong" in marks:
        text = f"**{text}**"
    if "link" in marks:
        text = _link(text, attribute(marks["link"], "href"))
    return before + text + after


def _link(text: str, href: str) -> str:
    if not href:
        return text
    target = f"<{href}>" if re.search(r"[\s()<]", href) else href
    return f"<{href}>" if text == escaped(href) and "://" in href and target == href else f"[{text}]({target})"


def _card(node: Node) -> str:
    if url := attribute(node, "url"):
        return f"<{url}>"
    data = (node.attrs or {}).get("data")
    if isinstance(data, dict):
        return _link(escaped(str(data.get("name", "") or "link")), str(data.get("url", "")))
    return named("link")


def _media(node: Node, names: Mapping[str, str]) -> str:
    alt, url = attribute(node, "alt"), attribute(node, "url")
    if url:
        return f"![{alt}]({url})"
    name = alt or names.get(attribute(node, "id"), "") or attribute(node, "__fileName") or attribute(node, "id")
    return named("attachment", name)


def _date(timestamp: str) -> str:
    """Milliseconds since 1970, of a day."""
    try:
        return datetime.fromtimestamp(int(timestamp) / 1000, UTC).date().isoformat()
    except (ValueError, OverflowError, OSError):
        return timestamp


_SIGNS = re.compile(
    r"\\(?=[!-/:-@\[-`{-~])|`|\*(?=\S)|(?<=\S)\*|(?<!\w)_(?=\S)|(?<=\S)_(?!\w)|~~|\[(?=[^\]\n]*\]\()|<(?=[A-Za-z/!?])"
)
_AT_START = re.compile(r"^([ \t]*)(#{1,6}(?=[ \t]|$)|[>+-](?=[ \t]|$)|(?<!\d)\d{1,9}(?=[.)](?:[ \t]|$)))", re.MULTILINE)


def escaped(text: str) -> str:
    """Signs that would mean something in Markdown mean themselves; names_like_this stay as they are."""
    plain = _SIGNS.sub(lambda found: "\\" + found[0], text)
    return _AT_START.sub(lambda f: f"{f[1]}{f[2]}\\" if f[2].isdigit() else f"{f[1]}\\{f[2]}", plain)
