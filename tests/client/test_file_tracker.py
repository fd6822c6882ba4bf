from pathlib import Path

import pytest

from amelia.errors import NotFound, Refused
from amelia.trackers.file import FileTracker, read_issue, split
from amelia.trackers.noop import NoTracker


@pytest.mark.parametrize(
    ("text", "title", "body"),
    [
        ("# Title\n\nBody\n", "Title", "Body"),
        ("## Title ##\nBody\n## More\n", "Title", "Body\n## More"),
        ("Title\n=====\n\nBody", "Title", "Body"),
        ("intro\n\n# Title\nrest", "Title", "intro\n\nrest"),
        ("---\nlabel: bug\n---\n# Title\nrest", "Title", "---\nlabel: bug\n---\nrest"),
        ("```\n# no title\n```\n# Title", "Title", "```\n# no title\n```"),
        ("#hashtag\n# \n# Title", "Title", "#hashtag\n#"),
        ("no heading", "", "no heading"),
        ("", "", ""),
    ],
)
def test_the_first_heading_is_the_title_and_the_rest_the_body(text: str, title: str, body: str) -> None:
    assert split(text) == (title, body)


def test_an_issue_is_named_after_its_file(tmp_path: Path) -> None:
    (tmp_path / "wrong-total.md").write_bytes(b"\xef\xbb\xbf# Wrong\r\n\r\nBody\r\n")
    issue = read_issue(tmp_path / "wrong-total.md")
    assert (issue.id, issue.title, issue.body) == ("wrong-total", "Wrong", "Body")


def test_a_title_that_is_too_long_is_cut(tmp_path: Path) -> None:
    (tmp_path / "a.md").write_text("# " + "x" * 400)
    assert len(read_issue(tmp_path / "a.md").title) == 300


@pytest.mark.parametrize("content", [b"", b"no heading", b"\xff\xfe# x"])
def test_what_is_no_issue_is_refused(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "a.md").write_bytes(content)
    with pytest.raises(Refused, match=r"a\.md"):
        read_issue(tmp_path / "a.md")


def test_an_issue_is_found_by_its_name_and_a_misspelt_one_is_guessed(tmp_path: Path) -> None:
    (tmp_path / "wrong-total.md").write_text("# T")
    tracker = FileTracker(tmp_path)
    assert tracker.issue("wrong-total") == tracker.issue("wrong-total.md")
    with pytest.raises(NotFound, match="did you mean 'wrong-total'"):
        tracker.issue("wrong-totl")
    with pytest.raises(NotFound, match="put it there"):
        tracker.issue("xyz")


async def test_no_tracker_says_how_else_to_give_an_issue() -> None:
    with pytest.raises(NotFound, match="--title"):
        await NoTracker().read("X-1")
