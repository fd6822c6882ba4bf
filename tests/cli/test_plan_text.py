"""A plan as YAML that a person edits."""

import sys
from pathlib import Path

import pytest

from amelia.contract.plan import Plan, Task
from amelia.errors import Refused
from amelia_cli.plan_text import edited, read, written

PLAN = Plan(
    summary="Round once:\nat the end.",
    test_command="pytest -q",
    tasks=(
        Task(id="a", title="yes", description="One line.\n\n- two\n  # no comment\n", verification="true"),
        Task(id="b", title="1.0", description="", dependencies=("a",), files=("x.py",), estimate_minutes=5),
    ),
)


def test_what_is_written_reads_as_the_same_plan() -> None:
    assert read(written(PLAN)) == PLAN


def test_what_looks_like_something_else_stays_text_and_what_is_empty_is_nothing() -> None:
    text = "summary: no\ntasks:\n- id: 007\n  title: 2026-01-01\n  description: on\n  files:\n  estimate_minutes: 12\n"
    assert read(text) == Plan(
        summary="no", tasks=(Task(id="007", title="2026-01-01", description="on", estimate_minutes=12),)
    )


@pytest.mark.parametrize(
    ("before", "after", "said"),
    [
        ("dependencies:\n  - a", "dependencies:\n  - c", "task 'b' depends on 'c', which is no task of the plan"),
        ("- id: b", "- id: a", "two tasks have the id 'a'"),
        ("title: yes", "titel: yes", "task 1 has no key 'titel'; did you mean 'title'?"),
        ("estimate_minutes: 5", "estimate_minutes: soon", "estimate_minutes"),
        ("tasks:", "tasks: [", "is not YAML"),
        ("tasks:", "things:", "the plan has no key 'things'"),
    ],
)
def test_a_mistake_is_named(before: str, after: str, said: str) -> None:
    text = written(PLAN).replace("title: 'yes'", "title: yes")
    assert before in text
    with pytest.raises(Refused, match=said.replace("?", r"\?").replace("[", r"\[")):
        read(text.replace(before, after, 1))


def editor(folder: Path, monkeypatch: pytest.MonkeyPatch, code: str) -> Path:
    """An editor that carries out ``code`` on the ``text`` it is given, and logs what it was shown."""
    program = folder / "editor.py"
    program.write_text(
        "import sys, pathlib\n"
        "file = pathlib.Path(sys.argv[1])\n"
        "text = file.read_text()\n"
        f"log = pathlib.Path({str(folder / 'seen')!r})\n"
        "number = len(log.read_text().split('=====')) if log.exists() else 1\n"
        "with log.open('a') as out: out.write(text + '=====')\n"
        f"{code}\n"
    )
    monkeypatch.setenv("VISUAL", f"{sys.executable} {program}")
    return folder / "seen"


def test_a_plan_with_a_mistake_comes_back_with_the_reason(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    seen = editor(
        tmp_path,
        monkeypatch,
        "old, new = ('b', 'a') if number == 1 else ('a', 'c')\n"
        "file.write_text(f'id: {new}'.join(text.rsplit(f'id: {old}', 1)))",
    )
    changed = edited(PLAN)
    assert changed is not None
    assert [task.id for task in changed.tasks] == ["a", "c"]
    first, second, _ = seen.read_text().split("=====")
    assert "It was not taken" not in first
    assert "# It was not taken: two tasks have the id 'a'" in second


def test_closed_unsaved_or_unchanged_it_is_left_as_it_was(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    editor(tmp_path, monkeypatch, "pass")
    assert edited(PLAN) is None
    editor(tmp_path, monkeypatch, "file.write_text(text)")
    assert edited(PLAN) is None


def test_without_an_editor_it_says_which_to_name(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("VISUAL", "no-such-editor-here")
    with pytest.raises(Refused, match="EDITOR"):
        edited(PLAN)
