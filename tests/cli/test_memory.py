"""``amelia memory``, of a fleet and of this machine."""

import json
from pathlib import Path

import pytest

from amelia.adapters.local.lessons import FILE, LocalLessons
from amelia.contract import events as e
from amelia.contract.views import LessonView
from amelia.domain.lessons import MOST, Learnt, learnt
from amelia.errors import Unavailable

from ..client.pretend_fleet import PretendFleet
from ..samples import workflow
from .conftest import Amelia


def lesson(id_: str, text: str, repository: str = "https://example.com/shop") -> LessonView:
    at = "2026-01-01T00:00:00.000Z"
    return LessonView(id=id_, repository=repository, topic="tests", text=text, workflow_id="wf-1", learnt_at=at)


def local(tmp_path: Path) -> LocalLessons:
    return LocalLessons(tmp_path / "state" / "local")


def found_out(text: str, repository: str = "https://example.com/shop") -> Learnt:
    event = e.LessonLearnt(id="l", workflow_id="wf-1", topic="tests", text=text)
    return learnt(workflow(repository=repository), event)


def test_what_a_fleet_has_learnt_is_listed_and_forgotten(amelia: Amelia, fleet: PretendFleet) -> None:
    assert "nothing has been learnt yet" in amelia("memory", "list").out
    fleet.lessons = [lesson("abc-1", "make test\x1b[2J"), lesson("abd-2", "make", "https://example.com/other")]
    out = amelia("memory", "list").out
    assert "make test [2J" in out
    assert "\x1b" not in out
    listed = json.loads(amelia("memory", "list", "--repo", "https://example.com/other", "--output", "json").out)
    assert [item["id"] for item in listed["items"]] == ["abd-2"]

    assert "may be abc-1, abd-2" in amelia("memory", "forget", "ab").err
    assert amelia("memory", "forget", "abc", "abd").out.splitlines()[1] == "forgotten: make"
    assert fleet.lessons == []
    ran = amelia("memory", "forget", "abc")
    assert ran.code == 4
    assert "there is no lesson" in ran.err


def test_what_was_learnt_here_is_listed_and_forgotten(amelia: Amelia, tmp_path: Path) -> None:
    assert "nothing has been learnt yet" in amelia("memory", "list", "--local").out
    local(tmp_path).learn(found_out("make test"))
    assert "make test" in amelia("memory", "list", "--local", "--repo", "https://example.com/shop.git").out
    assert "about it" in amelia("memory", "list", "--local", "--repo", "https://example.com/other").out
    [kept] = local(tmp_path).lessons()
    said = json.loads(amelia("memory", "forget", kept.id[:6], "--local", "--output", "json").out)
    assert said["text"] == "make test"
    assert amelia("memory", "forget", kept.id, "--local").code == 4


def test_a_lesson_is_kept_once_and_the_oldest_make_room(tmp_path: Path) -> None:
    lessons = local(tmp_path)
    lessons.learn(found_out("stays", "https://example.com/other"))
    for number in range(MOST + 2):
        lessons.learn(found_out(f"lesson {number}"))
    lessons.learn(found_out("lesson 2"))
    found = lessons.lessons("https://example.com/shop")
    assert [one.text for one in found[:2]] == ["lesson 2", f"lesson {MOST + 1}"]
    assert len(found) == MOST
    assert len(lessons.lessons()) == MOST + 1


def test_a_file_that_cannot_be_used_is_named(tmp_path: Path) -> None:
    folder = tmp_path / "state" / "local"
    folder.mkdir(parents=True)
    (folder / FILE).write_text("no database, not by far, but long enough to be taken for one that is broken\n" * 20)
    with pytest.raises(Unavailable, match="look at that file"):
        local(tmp_path).lessons()
