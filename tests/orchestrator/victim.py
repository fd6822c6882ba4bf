"""Runs workflows in processes that may be killed. For each line of JSON it forks, runs, and says how the child ended.
What the child asked and told is in files, written before it could die."""

import asyncio
import gc
import json
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import msgspec
from tests.orchestrator.conftest import World

import amelia.orchestrator.graph  # noqa: F401 - loaded once, before the forks
from amelia import failpoints
from amelia.contract.codec import encode
from amelia.contract.envelope import Event
from amelia.contract.plan import Task
from amelia.contract.workflow import Decision
from amelia.drivers.base import Request

NAMES = ("one", "two", "three")


class Diary:
    """An announcer, and the driver's ear."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    async def facts(self, facts: Sequence[Event]) -> None:
        for fact in facts:
            self._write("told", encode(fact).decode())

    def progress(self, event: Event) -> None:
        pass

    async def asked(self, request: Request) -> None:
        label, turn = request.label, sum(message.role == "assistant" for message in request.messages)
        self._write("asked", json.dumps([label.agent, label.task, turn]))

    def _write(self, name: str, line: str) -> None:
        with (self._folder / name).open("a") as file:
            file.write(line + "\n")


async def run(folder: Path, workflow_id: str, epoch: int, fact: int, decision: Decision | None) -> None:
    world, diary = World(folder, workflow_id), Diary(folder)
    world.plans(*map(task, NAMES))
    for name in NAMES:
        world.driver.on(
            "developer",
            {"write_file": {"path": f"{name}.py", "content": f"{name} = 1\n"}},
            {
                "edit_file": {"path": f"{name}.py", "old": "= 1", "new": "= 2"},
                "run_command": {"command": f"echo '# more' >> {name}.py"},
                "edit_file#2": {"path": f"{name}.py", "old": "# more", "new": "# done"},
            },
            {"finish_task": {"summary": name}},
            task=name,
        )
    world.reviews(approved=True)
    world.driver.before = diary.asked
    world.heard = diary  # type: ignore[assignment]
    ended = await world.run(world.job(decision, fact), epoch=epoch, place=f"-{epoch}")
    diary._write("ended", ended.result or ended.state)


def task(name: str) -> Task:
    """The first two are worked at once."""
    needs = NAMES[:1] if name == NAMES[-1] else ()
    return Task(id=name, title=name, description="", verification=f"test -f {name}.py", dependencies=needs)


def main() -> None:
    gc.freeze()
    for line in sys.stdin:
        order: dict[str, Any] = json.loads(line)
        child = os.fork()
        if not child:
            failpoints._failpoints = failpoints.Failpoints.read({"AMELIA_FAILPOINTS": order["failpoints"]})
            decision = msgspec.convert(order["decision"], Decision | None)
            asyncio.run(run(Path(order["folder"]), order["workflow_id"], order["epoch"], order["fact"], decision))
            os._exit(0)
        print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), flush=True)


if __name__ == "__main__":
    main()
