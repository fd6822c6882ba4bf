"""What an agent may not do is named at the end; what it was not shown is kept; a weak sandbox is said."""

from collections.abc import Callable
from typing import TYPE_CHECKING

import pytest

from amelia.contract import events as e
from amelia.contract.plan import Task

if TYPE_CHECKING:
    from tests.orchestrator.conftest import World

MakeTask = Callable[..., Task]


async def test_a_command_that_needs_a_person_is_unresolved_and_long_output_an_artifact(
    world: "World", make_task: MakeTask
) -> None:
    world.plans(make_task("fix"))
    world.driver.on(
        "developer",
        {"run_command": {"command": "git push origin HEAD"}},
        {"run_command": {"command": "seq 20000"}},
        {"write_file": {"path": "calc.py", "content": "done = 1\n"}},
        {"finish_task": {"summary": "done; somebody has to push"}},
        task="fix",
    )
    world.reviews(approved=True)
    assert (await world.approved()).result == "success"
    (done,) = world.heard.of(e.WorkflowCompleted)
    (left,) = done.unresolved
    assert left.startswith("a person has to decide about `git push origin HEAD`, which was not run")
    kept = [stored for stored in world.heard.of(e.ArtifactStored) if stored.name.startswith("output-developer-fix")]
    assert len(kept) == 1
    assert await world.objects.get(kept[0].claim) == b"".join(b"%d\n" % n for n in range(1, 20001))


async def test_a_workflow_says_first_that_commands_run_without_a_sandbox(
    world: "World", make_task: MakeTask, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AMELIA_SANDBOX", "off")
    world.plans(make_task("fix"))
    await world.run()
    said = [event.content for event in world.heard.shown if isinstance(event, e.AgentMessage)]
    assert said[0].startswith("Commands run WITHOUT a sandbox")
