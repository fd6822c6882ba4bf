"""An issue within its bounds."""

from amelia.contract import codec
from amelia.contract.events import WorkflowSubmitted
from amelia.trackers.composing import MOST_CHARACTERS, Remark, composed


def remark(text: str, by: str = "ada") -> Remark:
    return Remark(by=by, at="2026-01-02T03:04:05Z", text=text)


def test_a_long_description_loses_its_middle_and_says_so() -> None:
    issue = composed(id="i", title="t", body="a" * 50_000 + "b" * 50_000)
    assert issue.body.startswith("aaa")
    assert issue.body.endswith("bbb")
    assert "60000 characters elided" in issue.body


def test_of_many_comments_the_newest_stay() -> None:
    issue = composed(id="i", title="t", body="b" * 39_000, remarks=[remark(f"{n}: {'x' * 990}") for n in range(100)])
    assert len(issue.body) <= MOST_CHARACTERS
    assert "99: x" in issue.body
    assert "\n\n0: x" not in issue.body
    assert "older comments are left out" in issue.body


def test_one_comment_that_is_too_long_loses_its_middle() -> None:
    issue = composed(id="i", title="t", body="", remarks=[remark("x" * 200_000)])
    assert "characters elided" in issue.body
    assert len(issue.body) <= MOST_CHARACTERS


def test_titles_labels_and_names_are_lines() -> None:
    issue = composed(
        id="i", title=" a\n\0b\u202e ", body="\0", labels=["x\ny", "", "z" * 300], remarks=[remark("", by="a\nb")]
    )
    assert (issue.title, issue.labels) == ("a b", ("x y", "z" * 200))
    assert issue.body == "---\n\n**Comment by a b, 2026-01-02 03:04**\n\n(empty)"
    assert composed(id="i", title="t" * 400, body="").title.endswith("t…")
    assert composed(id="i", title=" ", body="").title == "i"


def test_whatever_a_tracker_has_makes_an_issue_that_can_be_recorded() -> None:
    issue = composed(
        id="i" * 300, title="\U0001f600" * 400, body="\U0001f600" * 300_000, labels=["l"] * 500, url="u" * 3_000
    )
    event = WorkflowSubmitted(id="1", workflow_id="wf-1", issue=issue, repository="https://x.y/z")
    assert codec.decode_event(codec.encode(event)) == event
