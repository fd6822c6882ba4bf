"""Atlassian's documents as Markdown."""

from typing import Any

import pytest

from amelia.trackers.adf import markdown
from amelia.trackers.adf_writing import document


def text(said: str, *marks: str | dict[str, Any]) -> dict[str, Any]:
    told = [{"type": mark} if isinstance(mark, str) else mark for mark in marks]
    return {"type": "text", "text": said, **({"marks": told} if told else {})}


def node(kind: str, *content: dict[str, Any], **attrs: Any) -> dict[str, Any]:
    return {"type": kind, **({"attrs": attrs} if attrs else {}), "content": list(content)}


def paragraph(*content: dict[str, Any] | str) -> dict[str, Any]:
    return node("paragraph", *(text(one) if isinstance(one, str) else one for one in content))


def item(*content: dict[str, Any]) -> dict[str, Any]:
    return node("listItem", *content)


def told(*blocks: dict[str, Any], names: dict[str, str] | None = None) -> str:
    return markdown({"type": "doc", "version": 1, "content": list(blocks)}, names)


LINK = {"type": "link", "attrs": {"href": "https://example.com/a_b"}}


@pytest.mark.parametrize(
    ("inline", "expected"),
    [
        ([text("bold", "strong"), text(" and plain")], "**bold** and plain"),
        ([text("bold ", "strong"), text("word")], "**bold** word"),
        ([text("both", "strong", "em")], "***both***"),
        ([text("gone", "strike")], "~~gone~~"),
        ([text("under", "underline")], "<u>under</u>"),
        ([text("2", {"type": "subsup", "attrs": {"type": "sup"}})], "<sup>2</sup>"),
        ([text("red", {"type": "textColor", "attrs": {"color": "#f00"}})], "red"),
        ([text("a_b(*c)", "code")], "`a_b(*c)`"),
        ([text("a`b", "code")], "``a`b``"),
        ([text("docs", LINK)], "[docs](https://example.com/a_b)"),
        ([text("https://example.com/a_b", LINK)], "<https://example.com/a_b>"),
        ([text("one"), {"type": "hardBreak"}, text("two")], "one  \ntwo"),
        ([{"type": "mention", "attrs": {"id": "7", "text": "@Ada"}}], "@Ada"),
        ([{"type": "mention", "attrs": {"id": "7"}}], "@7"),
        ([{"type": "emoji", "attrs": {"shortName": ":x:", "text": "❌"}}], "❌"),
        ([{"type": "emoji", "attrs": {"shortName": ":custom:"}}], ":custom:"),
        ([{"type": "date", "attrs": {"timestamp": "1700000000000"}}], "2023-11-14"),
        ([{"type": "status", "attrs": {"text": "IN PROGRESS"}}], "[status: IN PROGRESS]"),
        ([{"type": "inlineCard", "attrs": {"url": "https://example.com"}}], "<https://example.com>"),
        (
            [{"type": "inlineCard", "attrs": {"data": {"name": "A page", "url": "https://e.com"}}}],
            "[A page](https://e.com)",
        ),
        ([{"type": "mediaInline", "attrs": {"id": "u", "type": "file"}}], "[attachment: log.txt]"),
        ([{"type": "inlineExtension", "attrs": {"extensionKey": "chart"}}], "[extension: chart]"),
        ([text("a_name_like_this * 2 < 3")], "a_name_like_this * 2 < 3"),
        ([text("*no* _no_ `no` <b> [no](x) \\*")], r"\*no\* \_no\_ \`no\` \<b> \[no](x) \\\*"),
        ([text("# no")], r"\# no"),
        ([text("1. no")], r"1\. no"),
        ([text("- no")], r"\- no"),
    ],
)
def test_what_stands_in_a_line_means_the_same(inline: list[dict[str, Any]], expected: str) -> None:
    assert told(paragraph(*inline), names={"u": "log.txt"}) == expected


def test_headings_rules_and_paragraphs_stand_apart() -> None:
    assert told(node("heading", text("Steps"), level=2), paragraph("one"), node("rule"), paragraph("two")) == (
        "## Steps\n\none\n\n---\n\ntwo"
    )


def test_lists_nest_and_keep_their_numbers() -> None:
    inner = node("orderedList", item(paragraph("three")), item(paragraph("four")), order=3)
    assert told(node("bulletList", item(paragraph("one"), inner), item(paragraph("two"), paragraph("more")))) == (
        "- one\n  3. three\n  4. four\n- two\n\n  more"
    )


def test_code_in_a_list_keeps_its_lines_and_its_fence() -> None:
    code = node("codeBlock", text("a = 1\n\n```\nb"), language="python")
    assert told(code) == "````python\na = 1\n\n```\nb\n````"
    assert told(node("bulletList", item(paragraph("so"), code))) == (
        "- so\n\n  ````python\n  a = 1\n\n  ```\n  b\n  ````"
    )


def test_tasks_and_decisions_say_how_they_stand() -> None:
    tasks = node(
        "taskList",
        node("taskItem", text("done"), state="DONE"),
        node("taskItem", text("open"), state="TODO"),
        node("taskList", node("taskItem", text("below"), state="TODO")),
    )
    assert told(tasks) == "- [x] done\n- [ ] open\n  - [ ] below"
    assert told(node("decisionList", node("decisionItem", text("so be it"), state="DECIDED"))) == "- so be it"


def test_panels_quotes_and_expands_keep_what_they_hold() -> None:
    assert told(node("panel", paragraph("Careful"), paragraph("really"), panelType="warning")) == (
        "> **Warning**\n>\n> Careful\n>\n> really"
    )
    assert told(node("blockquote", paragraph("said"))) == "> said"
    assert told(node("expand", paragraph("hidden"), title="More")) == "**More**\n\nhidden"
    columns = node("layoutSection", node("layoutColumn", paragraph("left")), node("layoutColumn", paragraph("right")))
    assert told(columns) == "left\n\nright"


def test_tables_keep_rows_cells_and_what_is_in_them() -> None:
    def cell(*content: dict[str, Any], kind: str = "tableCell", **attrs: Any) -> dict[str, Any]:
        return node(kind, *content, **attrs)

    head = node("tableRow", cell(paragraph("a"), kind="tableHeader"), cell(paragraph("b"), kind="tableHeader"))
    listed = node("bulletList", item(paragraph("x")), item(paragraph("y")))
    row = node("tableRow", cell(paragraph("1|2"), paragraph("3")), cell(listed))
    wide = node("tableRow", cell(paragraph("both"), colspan=2))
    assert told(node("table", head, row, wide)) == (
        "| a | b |\n| --- | --- |\n| 1\\|2<br>3 | - x<br>- y |\n| both |  |"
    )
    assert told(node("table", row)).startswith("|  |  |\n| --- | --- |\n| 1"), "without a header there is an empty one"


def test_a_cell_over_several_rows_is_followed_by_its_column() -> None:
    tall = node("tableRow", node("tableCell", paragraph("tall"), rowspan=2), node("tableCell", paragraph("1")))
    next_one = node("tableRow", node("tableCell", paragraph("2")))
    assert told(node("table", tall, next_one)).split("\n")[2:] == ["| tall | 1 |", "|  | 2 |"]


def test_media_are_named() -> None:
    file = node("mediaSingle", {"type": "media", "attrs": {"type": "file", "id": "u"}}, node("caption", text("A shot")))
    assert told(file, names={"u": "shot.png"}) == "[attachment: shot.png]\n\nA shot"
    outside = {"type": "media", "attrs": {"type": "external", "url": "https://e.com/x.png", "alt": "x"}}
    assert told(node("mediaSingle", outside)) == "![x](https://e.com/x.png)"


def test_what_is_not_known_keeps_its_content_or_is_named() -> None:
    assert told(node("fromTheFuture", paragraph("kept"))) == "kept"
    assert told({"type": "fromTheFuture"}) == "[fromTheFuture]"


@pytest.mark.parametrize("nothing", [None, "", {}, {"type": "doc", "version": 1, "content": []}])
def test_no_text_is_no_text(nothing: object) -> None:
    assert markdown(nothing) == ""


def test_plain_text_stays_as_it_is_and_what_is_no_document_keeps_its_words() -> None:
    assert markdown("h1. wiki\r\n*so*") == "h1. wiki\n*so*"
    assert markdown({"type": "doc", "content": [{"type": 7, "text": "words"}]}) == "words"


def test_a_document_that_is_nested_without_end_is_read() -> None:
    deep = paragraph("core")
    for _ in range(300):
        deep = node("blockquote", deep)
    assert "core" in told(deep)


def test_our_own_comments_come_back_as_they_were_written() -> None:
    said = "Done: `abc`, see [Result](https://e.com/1) or https://e.com/2.\nNext line\n\n- **one**\n- two"
    written = document(said)
    assert {block["type"] for block in written["content"]} == {"paragraph", "bulletList"}
    assert markdown(written) == (
        "Done: `abc`, see [Result](https://e.com/1) or <https://e.com/2.>  \nNext line\n\n- **one**\n- two"
    )
