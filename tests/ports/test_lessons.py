"""What was learnt about repositories, in both journals."""

import pytest

from amelia.adapters.memory.journal import MemoryJournal
from amelia.adapters.postgres.journal import PostgresJournal
from amelia.contract import events as e
from amelia.domain.lessons import MOST, told
from amelia.ports.journal import Journal

from ..samples import Voice, arrived, opened, start


@pytest.fixture(params=["postgres", "memory"])
def kept(request: pytest.FixtureRequest) -> Journal:
    if request.param == "memory":
        return MemoryJournal()
    journal: PostgresJournal = request.getfixturevalue("journal")
    return journal


async def work(journal: Journal, repository: str, team: str = "blue") -> Voice:
    command = start(repository=repository, team=team)
    await journal.execute(command)
    await opened(journal, command.workflow_id)
    return Voice(command.workflow_id)


async def test_what_a_workflow_learnt_is_there_for_the_next_one(kept: Journal) -> None:
    voice = await work(kept, "https://me@example.com/a.git")
    said = voice.fact(e.LessonLearnt, topic="tests", text="They run with\nmake test.")
    assert await kept.append(arrived(said)) == [None]
    await kept.append(arrived(said))
    await kept.append(arrived(voice.fact(e.LessonLearnt, topic="build", text="nul\0nul needs make.")))
    found = await kept.lessons("blue", "https://example.com/a")
    assert [(one.topic, one.workflow_id) for one in found] == [
        ("build", voice.workflow_id),
        ("tests", voice.workflow_id),
    ]
    assert told(found)[1].text == "They run with make test."
    assert await kept.lessons("red", "https://example.com/a") == []
    assert await kept.lessons("blue", "https://example.com/b") == []
    assert await kept.lessons("blue", "\0") == []
    assert await kept.lessons("blue") == found


async def test_the_same_lesson_is_kept_once_and_is_as_new_as_its_last_time(kept: Journal) -> None:
    first, second = await work(kept, "https://example.com/a"), await work(kept, "https://example.com/a/")
    await kept.append(arrived(first.fact(e.LessonLearnt, topic="tests", text="one")))
    await kept.append(arrived(first.fact(e.LessonLearnt, topic="tests", text="two")))
    await kept.append(arrived(second.fact(e.LessonLearnt, topic="tests", text="one")))
    found = await kept.lessons("blue", "https://example.com/a")
    assert [(one.text, one.workflow_id) for one in found] == [("one", second.workflow_id), ("two", first.workflow_id)]


async def test_a_lesson_is_forgotten_by_its_own_team(kept: Journal) -> None:
    voice = await work(kept, "https://example.com/a")
    await kept.append(arrived(voice.fact(e.LessonLearnt, topic="tests", text="wrong")))
    [lesson] = await kept.lessons("blue")
    assert await kept.forget("red", [lesson.id]) == []
    assert await kept.forget("blue", [lesson.id, "nul\0", "other"]) == [lesson]
    assert await kept.lessons("blue") == []


async def test_the_oldest_lessons_make_room(kept: Journal) -> None:
    voice, other = await work(kept, "https://example.com/a"), await work(kept, "https://example.com/b")
    await kept.append(arrived(other.fact(e.LessonLearnt, topic="tests", text="stays")))
    for number in range(MOST + 3):
        await kept.append(arrived(voice.fact(e.LessonLearnt, topic="tests", text=f"lesson {number}")))
    found = await kept.lessons("blue", "https://example.com/a")
    assert [one.text for one in found] == [f"lesson {number}" for number in reversed(range(3, MOST + 3))]
    assert len(await kept.lessons("blue")) == MOST + 1
