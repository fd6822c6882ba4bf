"""Killed after any of its checkpoints, a run goes on to the same end."""

from collections.abc import Callable
from typing import TYPE_CHECKING

import pytest

from amelia import failpoints
from amelia.contract.plan import Task
from amelia.errors import Unavailable
from amelia.failpoints import Failpoints, Strike

if TYPE_CHECKING:
    from tests.orchestrator.conftest import World

MakeTask = Callable[..., Task]


@pytest.mark.parametrize("checkpoint", range(1, 7))
async def test_a_run_that_dies_after_a_checkpoint_goes_on_from_it(
    world: "World", make_task: MakeTask, monkeypatch: pytest.MonkeyPatch, checkpoint: int
) -> None:
    world.plans(make_task("one"))
    world.driver.on(
        "developer",
        {"write_file": {"path": "one.py", "content": "one = 1\n"}},
        {"finish_task": {"summary": "one"}},
        task="one",
    )
    world.reviews(approved=True)
    dying = Failpoints((Strike(point="checkpointed", action="error", at=checkpoint),))
    monkeypatch.setattr(failpoints, "_failpoints", dying)
    states: list[str] = []
    decision = None
    for epoch in range(1, 9):
        try:
            ended = await world.run(world.job(decision, _heard(world)), epoch=epoch)
        except Unavailable:
            continue
        states.append(ended.state)
        if ended.state == "finished":
            break
        decision = world.decided()
    assert states == ["blocked", "finished"]
    assert (await world.handed_in())["one.py"].strip() == "one = 1"
    assert [fact.fact for fact in world.heard.told] == list(range(1, len(world.heard.told) + 1))


def _heard(world: "World") -> int:
    return world.heard.told[-1].fact if world.heard.told else 0
