"""Atlassian's document format as Markdown: its blocks."""

from collections.abc import Iterator, Mapping
from typing import Any

import msgspec

from .adf_inline import Node, attribute, code_span, inline, named

__all__ = ["Node", "markdown"]

_PANELS = {"info": "Info", "note": "Note", "warning": "Warning", "success": "Success", "error": "Error"}
_DEEPEST = 60
"""What is nested further is told as its text alone."""


def markdown(document: object, names: Mapping[str, str] | None = None) -> str:
    """``document`` is the JSON value of a field: a document, plain text (of servers that have no documents) or None.
    ``names`` are the files behind media, by their ids. What has no Markdown is named in brackets."""
    if document is None or isinstance(document, str):
        return (document or "").replace("\r\n", "\n").strip()
    try:
        root = msgspec.convert(document, Node, strict=False)
    except (msgspec.ValidationError, RecursionError):
        return "\n".join(_texts(document))
    return _Writer(names or {}).blocks(root.children, 0).strip()


class _Writer:
    def __init__(self, names: Mapping[str, str]) -> None:
        self._names = names

    def blocks(self, nodes: list[Node], depth: int) -> str:
        parts = [self._block(node, depth) for node in _paragraphs(nodes)]
        return "\n\n".join(part for part in parts if part.strip())

    def _block(self, node: Node, depth: int) -> str:
        if depth > _DEEPEST:
            return " ".join(_words(node))
        match node.type:
            case "paragraph" | "caption":
                return inline(node.children, self._names).strip()
            case "heading":
                level = min(max(node.number("level", 1), 1), 6)
                return f"{'#' * level} {_flat(inline(node.children, self._names))}"
            case "bulletList" | "orderedList" | "taskList" | "decisionList":
                return self._list(node, depth)
            case "codeBlock":
                return _fenced("".join(child.text for child in node.children), attribute(node, "language"))
            case "blockquote":
                return _quoted(self.blocks(node.children, depth + 1))
            case "panel":
                kind = _PANELS.get(attribute(node, "panelType"), "Note")
                return _quoted(f"**{kind}**\n\n{self.blocks(node.children, depth + 1)}")
            case "expand" | "nestedExpand":
                title = attribute(node, "title")
                inner = self.blocks(node.children, depth + 1)
                return f"**{title}**\n\n{inner}" if title else inner
            case "rule":
                return "---"
            case "table":
                return self._table(node, depth)
            case "media" | "blockCard" | "embedCard":
                return inline([node], self._names)
            case "extension" | "bodiedExtension" | "syncBlock":
                inner = self.blocks(node.children, depth + 1)
                return "\n\n".join(
                    part for part in (named("extension", attribute(node, "extensionKey")), inner) if part
                )
        return self.blocks(node.children, depth + 1) if node.children else named(node.type, node.text)

    def _list(self, node: Node, depth: int) -> str:
        first = node.number("order", 1) if node.type == "orderedList" else 0
        lines: list[str] = []
        for number, item in enumerate(node.children):
            if item.type == node.type:  # tasks and decisions nest beside their items
                lines.append(_indented(self._list(item, depth + 1), "  "))
                continue
            marker = f"{first + number}. " if node.type == "orderedList" else _MARKERS.get(_state(item), "- ")
            inner = self._item(item, depth + 1)
            lines.append(marker + _indented(inner, " " * (len(marker) if first else 2)).lstrip(" "))
        return "\n".join(lines)

    def _item(self, item: Node, depth: int) -> str:
        """A list right after its paragraph stays close to it."""
        text, before = "", ""
        for child in _paragraphs(item.children):
            part = self._block(child, depth)
            close = before == "paragraph" and child.type.endswith("List")
            text += (("\n" if close else "\n\n") if text and part else "") + part
            before = child.type
        return text

    def _table(self, node: Node, depth: int) -> str:
        above: dict[int, int] = {}
        rows = [self._row(row, above, depth) for row in node.children if row.type == "tableRow"]
        if not rows:
            return ""
        width = max(map(len, rows))
        rows = [row + [""] * (width - len(row)) for row in rows]
        first = node.children[0].children
        if not (first and all(cell.type == "tableHeader" for cell in first)):
            rows.insert(0, [""] * width)
        lines = [f"| {' | '.join(row)} |" for row in rows]
        return "\n".join([lines[0], "|" + " --- |" * width, *lines[1:]])

    def _row(self, row: Node, above: dict[int, int], depth: int) -> list[str]:
        """``above`` is how many more rows a cell from above takes of a column."""
        cells: list[str] = []
        waiting = list(row.children)
        while waiting or above.get(len(cells), 0) > 0:
            if above.get(len(cells), 0) > 0:
                above[len(cells)] -= 1
                cells.append("")
                continue
            cell = waiting.pop(0)
            wide, tall = min(cell.number("colspan", 1), 50), min(cell.number("rowspan", 1), 500)
            for column in range(len(cells), len(cells) + max(wide, 1)):
                above[column] = tall - 1
            cells += [self._cell(cell, depth + 1)] + [""] * (wide - 1)
        return cells

    def _cell(self, cell: Node, depth: int) -> str:
        parts: list[str] = []
        for child in _paragraphs(cell.children):
            if child.type == "codeBlock":
                lines = "".join(part.text for part in child.children).split("\n")
                parts += [code_span(line) for line in lines if line]
            else:
                parts += [line for line in self._block(child, depth).split("\n") if line.strip()]
        return "<br>".join(part.strip() for part in parts).replace("|", "\\|")


_MARKERS = {"TODO": "- [ ] ", "DONE": "- [x] "}
_INLINE = frozenset(
    {"text", "hardBreak", "mention", "emoji", "date", "status", "inlineCard", "mediaInline", "inlineExtension"}
)


def _state(item: Node) -> str:
    return attribute(item, "state") if item.type in ("taskItem", "blockTaskItem") else ""


def _paragraphs(nodes: list[Node]) -> Iterator[Node]:
    """Inline nodes that stand among blocks, as in tasks, together make a paragraph."""
    loose: list[Node] = []
    for node in nodes:
        if node.type in _INLINE:
            loose.append(node)
            continue
        if loose:
            yield Node(type="paragraph", content=loose)
            loose = []
        yield node
    if loose:
        yield Node(type="paragraph", content=loose)


def _fenced(code: str, language: str) -> str:
    fence = "```"
    while fence in code:
        fence += "`"
    return f"{fence}{_flat(language)}\n{code}\n{fence}"


def _quoted(text: str) -> str:
    return "\n".join(f"> {line}" if line else ">" for line in text.split("\n"))


def _indented(text: str, by: str) -> str:
    return "\n".join(by + line if line else "" for line in text.split("\n"))


def _flat(text: str) -> str:
    return " ".join(text.split())


def _words(node: Node) -> Iterator[str]:
    waiting = [node]
    while waiting:
        one = waiting.pop()
        if one.text:
            yield one.text
        waiting += reversed(one.children)


def _texts(value: Any) -> Iterator[str]:
    """Of a document that is none: whatever text it holds."""
    waiting = [value]
    while waiting:
        one = waiting.pop()
        if isinstance(one, dict):
            if isinstance(one.get("text"), str):
                yield one["text"]
            waiting += reversed(list(one.values()))
        elif isinstance(one, list):
            waiting += reversed(one)
