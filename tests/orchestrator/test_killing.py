"""A process that is killed at any point loses no finished task and at most the turn it was in."""

import json
import signal
import subprocess
import sys
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec
import pytest

from amelia.contract import events as e
from amelia.contract.codec import decode_event
from amelia.contract.workflow import Decision

if TYPE_CHECKING:
    from tests.orchestrator.conftest import World

Order = Callable[..., int]


@pytest.fixture(scope="module")
def order() -> Iterator[Order]:
    command = [sys.executable, "-m", "tests.orchestrator.victim"]
    root = Path(__file__).parents[2]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, cwd=root) as parent:
        assert parent.stdin
        assert parent.stdout

        def order(world: "World", **words: Any) -> int:
            assert parent.stdin
            assert parent.stdout
            words |= {"folder": str(world.folder), "workflow_id": world.workflow_id}
            print(json.dumps(words), file=parent.stdin, flush=True)
            return int(parent.stdout.readline())

        yield order
        parent.stdin.close()


def lines(world: "World", name: str) -> list[str]:
    path = world.folder / name
    return path.read_text().splitlines() if path.exists() else []


@pytest.mark.parametrize(("point", "at"), [("turned", 4), ("transcribed", 5), ("checkpointed", 3)])
async def test_killed_again_and_again_a_workflow_comes_to_its_end_as_if_undisturbed(
    world: "World", order: Order, point: str, at: int
) -> None:
    killed, decision = 0, None
    for epoch in range(1, 30):
        told = [decode_event(line) for line in lines(world, "told")]
        fact = max((one.fact for one in told), default=0)
        for block in told:
            if isinstance(block, e.WorkflowBlocked):
                sha256 = block.plan_sha256
                approval = Decision(kind="approved", block_id=block.id, plan_sha256=sha256, by="rosa")
                decision = msgspec.to_builtins(approval)
        code = order(world, epoch=epoch, fact=fact, decision=decision, failpoints=f"{point}=kill@{at}")
        assert code in (0, -signal.SIGKILL)
        killed += code != 0
        if lines(world, "ended")[-1:] == ["success"]:
            break
    assert killed >= 2
    assert lines(world, "ended")[-1] == "success"
    asked = Counter(lines(world, "asked"))
    assert sum(asked.values()) - len(asked) <= killed, "each death costs at most the turn it struck"
    told = list({one.fact: one for one in map(decode_event, lines(world, "told"))}.values())
    assert sorted(one.fact for one in told) == list(range(1, len(told) + 1))
    finished = [one.task_id for one in told if isinstance(one, e.TaskCompleted)]
    assert sorted(finished) == ["one", "three", "two"], "each once, and in any order that their needs allow"
    assert finished.index("one") < finished.index("three")
    world.heard.told = [*told]
    files = await world.handed_in()
    for name in finished:
        assert files[f"{name}.py"] == f"{name} = 2\n# done"
