"""A secret of this program's own does not get into the work, however it came there."""

from collections.abc import Callable

import pytest

from amelia.contract.plan import Task
from amelia.redaction import ours

from .conftest import Say, World

MakeTask = Callable[..., Task]

FIRST, LAST = "betrayed-canary", "4c1f9e7d2b"
SAID = f"printf '%s-%s' {FIRST} {LAST} > note.txt"
"""How an agent gets at a text that it could not write itself."""


@pytest.fixture
def canary() -> str:
    ours().learn("BETRAYED", f"{FIRST}-{LAST}")
    return f"{FIRST}-{LAST}"


async def test_a_secret_that_the_agent_has_committed_itself_is_not_handed_in(
    world: World, make_task: MakeTask, canary: str
) -> None:
    world.plans(make_task("fix"))
    lines: tuple[Say, ...] = (
        {"run_command": {"command": f"{SAID} && git add -A && git -c user.name=a -c user.email=a@b.c commit -qm x"}},
        {"finish_task": {"summary": "wrote note.txt"}},
        {"run_command": {"command": "git status --porcelain && rm note.txt && echo mended > calc.py"}},
        {"finish_task": {"summary": "took it out"}},
    )
    world.driver.on("developer", *lines, task="fix")
    world.reviews(approved=True)
    assert (await world.approved()).result == "success"
    results = [repr(message) for message in world.driver.requests[-2].messages]
    assert any("note.txt holds BETRAYED: a secret that does not belong" in said for said in results), results
    assert await world.handed_in() == {"calc.py": "mended", "README.md": "calc"}


async def test_a_secret_that_the_verification_writes_is_not_handed_in(
    world: World, make_task: MakeTask, canary: str
) -> None:
    world.plans(make_task("fix", verification=SAID))
    finish: Say = {"finish_task": {"summary": "done"}}
    world.driver.on("developer", finish, finish, finish, task="fix")
    ended = await world.approved()
    assert ended.result == "failed"
    assert "note.txt holds BETRAYED" in repr(world.heard.told)
