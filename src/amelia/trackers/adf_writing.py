"""Our own comments in Atlassian's document format: paragraphs, lists, links and code, and no more."""

import re
from typing import Any

_SPAN = re.compile(r"`([^`\n]+)`|\[([^\]\n]+)\]\((https?://[^\s)]+)\)|(https?://[^\s<>)]+)|\*\*([^*\n]+)\*\*")


def document(text: str) -> dict[str, Any]:
    """``text`` is the plain Markdown that we write: what it cannot say stays as it is written."""
    blocks = [block for block in re.split(r"\n{2,}", text.strip()) if block.strip()]
    return {"type": "doc", "version": 1, "content": [_block(block) for block in blocks]}


def _block(block: str) -> dict[str, Any]:
    lines = block.split("\n")
    if all(line.startswith("- ") for line in lines):
        items = [{"type": "listItem", "content": [_paragraph(line[2:])]} for line in lines]
        return {"type": "bulletList", "content": items}
    return _paragraph(block)


def _paragraph(text: str) -> dict[str, Any]:
    content: list[dict[str, Any]] = []
    for number, line in enumerate(text.split("\n")):
        content += ([{"type": "hardBreak"}] if number else []) + _spans(line)
    return {"type": "paragraph", "content": content}


def _spans(line: str) -> list[dict[str, Any]]:
    spans: list[dict[str, Any]] = []
    end = 0
    for found in _SPAN.finditer(line):
        spans += [_text(line[end : found.start()])] if found.start() > end else []
        code, named, href, bare, strong = found.groups()
        if code:
            spans.append(_text(code, {"type": "code"}))
        elif strong:
            spans.append(_text(strong, {"type": "strong"}))
        else:
            spans.append(_text(named or bare, {"type": "link", "attrs": {"href": href or bare}}))
        end = found.end()
    return spans + ([_text(line[end:])] if line[end:] else [])


def _text(text: str, *marks: dict[str, Any]) -> dict[str, Any]:
    return {"type": "text", "text": text, **({"marks": list(marks)} if marks else {})}
