"""``amelia review``: the Reviewer on what is not committed, with a played model."""

import json
import subprocess
from pathlib import Path

import pytest

from .conftest import Amelia

CONVERSATION = """
version: 1
conversations:
  - agent: reviewer
    turns:
      - call: {read_file: {path: total.py}}
      - call:
          submit_review:
            approved: false
            summary: Not yet.
            comments:
              - {severity: minor, message: a better name, file: new.py, line: 1}
              - {severity: major, message: no test for it, file: total.py, line: 99}
  - agent: reviewer
    task: "*y"
    turns:
      - call: {submit_review: {approved: true, summary: Well done.}}
  - agent: reviewer
    task: performance
    turns:
      - call: {submit_review: {approved: true, summary: Fast enough.}}
"""


@pytest.fixture
def conversation(repository: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """And a change that is not committed."""
    monkeypatch.setenv("AMELIA_DRIVER", "api:anthropic")
    path = tmp_path / "conversation.yaml"
    path.write_text(CONVERSATION)
    (repository / "total.py").write_text("total = int\n")
    (repository / "new.py").write_text("x = 1\n")
    return path


def status() -> str:
    return subprocess.run(["git", "status", "--porcelain"], capture_output=True, text=True, check=True).stdout


def test_comments_are_told_by_file_and_line_and_the_exit_code_says_that_something_has_to_change(
    amelia: Amelia, conversation: Path
) -> None:
    before = status()
    ran = amelia("review", "--local", "--test", "cat total.py", "--replay", str(conversation))
    assert ran.code == 1
    assert ran.out.splitlines() == [
        "new.py:1: minor: a better name",
        "total.py:1: major: no test for it",
        "changes are asked for: Not yet.",
    ], ran.err
    assert status() == before


def test_three_reviewers_that_approve_are_an_approval(amelia: Amelia, conversation: Path) -> None:
    ran = amelia("review", "total.py", "--strategy", "competitive", "--replay", str(conversation), "--output", "json")
    told = json.loads(ran.out)
    assert (ran.code, told["approved"], told["comments"]) == (0, True, []), ran.err
    assert "Fast enough." in told["summary"]
    assert told["spent"]["input_tokens"]


def test_nothing_that_changed_needs_neither_a_model_nor_a_change(amelia: Amelia, repository: Path) -> None:
    ran = amelia("review", "--local")
    assert (ran.code, ran.out, "nothing has changed" in ran.err) == (0, "", True)


@pytest.mark.usefixtures("conversation")
def test_what_is_elsewhere_or_unknown_is_refused(
    amelia: Amelia, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for arguments, said in (
        ([str(tmp_path)], "is not within"),
        (["none.py"], "nothing that git knows at none.py"),
        (["--base", "nowhere"], "there is no commit nowhere"),
    ):
        ran = amelia("review", *arguments)
        assert (ran.code, said in ran.err, len(ran.err.splitlines())) == (2, True, 1), ran.err
    monkeypatch.chdir(tmp_path)
    assert "in no checkout" in amelia("review").err
