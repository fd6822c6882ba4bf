"""What was learnt about repositories, in both journals."""

import asyncio

import asyncpg
import pytest

from amelia.adapters.memory.journal import MemoryJournal
from amelia.adapters.postgres.journal import PostgresJournal
from amelia.contract import events as e
from amelia.domain.lessons import MOST, told
from amelia.ports.journal import Journal

from ..conftest import Opener
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


PAUSE_AFTER_WRITING = """
CREATE FUNCTION pause() RETURNS trigger LANGUAGE plpgsql AS
    $$ BEGIN PERFORM pg_advisory_xact_lock_shared(1); RETURN NULL; END $$;
CREATE TRIGGER pause AFTER INSERT ON lesson FOR EACH STATEMENT EXECUTE FUNCTION pause();
SELECT pg_advisory_lock(1)
"""
WAITING = """
SELECT count(*) FROM pg_locks l JOIN pg_database d ON d.oid = l.database
WHERE NOT granted AND d.datname = current_database()
"""


async def test_two_who_make_room_in_one_repository_do_not_wait_for_each_other(
    open_journal: Opener, database_url: str
) -> None:
    """Each learns again what the other finds to be the oldest, and nobody breaks a circle."""
    control = await asyncpg.connect(database_url)
    await control.execute(f"ALTER DATABASE \"{database_url.rpartition('/')[2]}\" SET deadlock_timeout = '10min'")
    here, there = await open_journal(), await open_journal()
    one, two = await work(here, "https://example.com/a"), await work(there, "https://example.com/a")
    for number in range(MOST):
        await here.append(arrived(one.fact(e.LessonLearnt, topic="tests", text=f"lesson {number}")))
    try:
        await control.execute(PAUSE_AFTER_WRITING)
        appends = []
        for number, (journal, voice) in enumerate([(here, one), (there, two)]):
            said = [voice.fact(e.LessonLearnt, topic="tests", text=t) for t in (f"lesson {number}", f"new {number}")]
            appends.append(asyncio.create_task(journal.append(arrived(*said))))
        async with asyncio.timeout(30):
            while await control.fetchval(WAITING) < len(appends):
                assert not any(append.done() for append in appends)
        await control.execute("SELECT pg_advisory_unlock(1)")
        assert await asyncio.gather(*appends) == [[None, None], [None, None]]
    finally:
        await control.close()
    found = {lesson.text for lesson in await here.lessons("blue", "https://example.com/a")}
    assert found == {*(f"lesson {number}" for number in (0, 1, *range(4, MOST))), "new 0", "new 1"}
