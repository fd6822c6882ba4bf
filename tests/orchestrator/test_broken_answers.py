"""What is heard of an answer that broke off, and was asked for again."""

from collections.abc import AsyncGenerator, AsyncIterator, Callable
from typing import TYPE_CHECKING

import pytest

from amelia.contract import events as e
from amelia.contract.plan import Task
from amelia.drivers.assembly import Assembly
from amelia.drivers.base import Label, Request, TextDelta, Turn
from amelia.drivers.cast import Cast
from amelia.drivers.retries import Interrupted, Patience, retried
from amelia.errors import Unavailable
from amelia.orchestrator.agents.voice import Voice

if TYPE_CHECKING:
    from tests.orchestrator.conftest import ScriptedDriver, World

VOID = "The answer broke off here; what was said of it does not count."
MakeTask = Callable[..., Task]


class Breaking:
    """Begins to say what it answers, and breaks off, twice."""

    name = "breaking"

    def __init__(self, inner: "ScriptedDriver") -> None:
        self._inner = inner

    async def stream(self, request: Request) -> AsyncIterator[TextDelta | Turn]:
        tries = 0

        async def attempt(assembly: Assembly) -> AsyncGenerator[TextDelta, None]:
            nonlocal tries
            tries += 1
            yield TextDelta("Now the plan.")
            if tries < 3:
                raise Interrupted("gone")
            assembly.stop = "end"

        async for piece in retried("It", attempt, Patience(first_wait=0)):
            if isinstance(piece, TextDelta):
                yield piece
        async for piece in self._inner.stream(request):
            if isinstance(piece, Turn):
                yield piece

    async def aclose(self) -> None:
        pass


@pytest.fixture
def broken(world: "World", make_task: MakeTask) -> "World":
    world.plans(make_task("fix"))
    world.cast = Cast.single(Breaking(world.driver), world.model)
    return world


def said(world: "World") -> list[str]:
    told = [event.content for event in world.heard.shown if isinstance(event, e.AgentMessage)]
    return [text for text in told if text == VOID or "plan" in text]


async def test_what_a_broken_try_said_is_not_said_with_the_next(broken: "World") -> None:
    assert (await broken.run()).state == "blocked"
    assert said(broken) == ["Now the plan.", "Now the plan."], "one for each of the two turns"


def test_what_was_announced_of_a_broken_try_is_said_not_to_count(world: "World") -> None:
    voice = Voice(world.heard, Label(workflow_id="wf-1", issue="GH-1", agent="architect"), 30, every=0)
    with voice.answer():
        voice.hear("Now the plan.")
        voice.forget()
        voice.hear("Now the plan.")
    with pytest.raises(Unavailable), voice.answer():
        raise Unavailable("gone before a word was said")
    assert said(world) == ["Now the plan.", VOID, "Now the plan."]
