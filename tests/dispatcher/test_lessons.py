"""Who begins is told what others have learnt."""

from amelia.contract import events as e
from amelia.contract.invocation import Lesson

from ..samples import Voice, arrived
from .conftest import World


async def test_an_invocation_carries_what_was_learnt_about_its_repository(world: World) -> None:
    first = await world.submitted()
    await world.act(first)
    assert world.runtimes.invocations[-1].lessons == ()
    voice = Voice(first.workflow_id)
    said = (voice.fact(e.LessonLearnt, topic=topic, text=f"about {topic}") for topic in ("tests", "build"))
    for one in said:
        await world.journal.append(arrived(one))
    for changes in ({}, {"team": "red"}, {"repository": "https://example.com/other"}):
        await world.act(await world.submitted(**changes))
    known = (Lesson(topic="build", text="about build"), Lesson(topic="tests", text="about tests"))
    assert [asked.lessons for asked in world.runtimes.invocations[1:]] == [known, (), ()]
