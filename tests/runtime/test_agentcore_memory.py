import asyncio
import operator
import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Annotated, Any, TypedDict

import pytest
from langgraph.checkpoint.base import BaseCheckpointSaver
from langgraph.graph import END, START, StateGraph
from langgraph.types import Command, interrupt

from amelia.contract.ids import new_workflow_id
from amelia.errors import Unavailable
from amelia.memory.agentcore import AgentCoreMemory
from amelia.settings import Settings


class State(TypedDict):
    log: Annotated[list[str], operator.add]
    plan: str


class Killed(Exception):
    """What ends an attempt in the middle."""


class World:
    """A graph with a gate, then two tasks side by side. ``ran`` is what was executed, ``dying`` what kills."""

    def __init__(self, url: str) -> None:
        self.memory = AgentCoreMemory(Settings(agentcore_endpoint_url=url))
        self.workflow_id = new_workflow_id()
        self.config: Any = {"configurable": {"thread_id": self.workflow_id}}
        self.ran: list[str] = []
        self.dying = ""
        self.who = 0

    def _node(self, name: str, after: float = 0) -> Callable[[State], Awaitable[Any]]:
        async def node(state: State) -> Any:
            answer = f":{interrupt('go on?')}" if name == "gate" else ""
            await asyncio.sleep(after)
            if name == self.dying:
                raise Killed
            self.ran.append(name)
            more = {"plan": f"the plan of {self.who}"} if name == "plan" else {}
            return {"log": [name + answer], **more}

        return node

    @asynccontextmanager
    async def attempt(self, epoch: int) -> AsyncIterator[Any]:
        async with self.memory.checkpoints(self.workflow_id, epoch) as saver:
            yield self.graph(saver)

    def graph(self, saver: BaseCheckpointSaver[str]) -> Any:
        builder = StateGraph(State)
        for name, after in (("plan", 0.0), ("gate", 0.0), ("left", 0.0), ("right", 0.15), ("end", 0.0)):
            builder.add_node(name, self._node(name, after))  # type: ignore[call-overload]
        builder.add_edge(START, "plan")
        builder.add_edge("plan", "gate")
        builder.add_edge("gate", "left")
        builder.add_edge("gate", "right")
        builder.add_edge(["left", "right"], "end")
        builder.add_edge("end", END)
        return builder.compile(checkpointer=saver)

    async def begin(self, epoch: int) -> None:
        self.who = epoch
        async with self.attempt(epoch) as graph:
            await graph.ainvoke({"log": [], "plan": ""}, self.config, durability="sync")

    async def resume(self, epoch: int, answer: str = "yes") -> State:
        self.who = epoch
        async with self.attempt(epoch) as graph:
            return await self.go(graph, answer)

    async def go(self, graph: Any, answer: str) -> State:
        snapshot = await graph.aget_state(self.config)
        entry: Any = Command(resume={snapshot.interrupts[0].id: answer}) if snapshot.interrupts else None
        done: State = await graph.ainvoke(entry, self.config, durability="sync")
        return done


@pytest.fixture
def world(agentcore: str) -> World:
    return World(agentcore)


DONE = ["plan", "gate:yes", "left", "right", "end"]


async def test_a_new_attempt_goes_on_from_the_interrupt_of_the_one_before(world: World) -> None:
    await world.begin(1)
    done = await world.resume(4)
    assert done["log"] == DONE
    assert done["plan"] == "the plan of 1"
    assert world.ran == ["plan", "gate", "left", "right", "end"]


async def test_a_finished_graph_is_finished_for_every_later_attempt(world: World) -> None:
    await world.begin(1)
    await world.resume(2)
    async with world.attempt(3) as graph:
        snapshot = await graph.aget_state(world.config)
    assert snapshot.next == ()
    assert snapshot.values["log"] == DONE


async def test_an_older_attempt_that_still_writes_changes_and_hides_nothing(world: World) -> None:
    await world.begin(1)
    async with world.attempt(1) as zombie, world.attempt(2) as graph:
        await zombie.aget_state(world.config)
        await graph.aget_state(world.config)
        await world.go(zombie, "zombie")
        assert (await world.go(graph, "yes"))["log"] == DONE
    async with world.attempt(3) as graph:
        assert (await graph.aget_state(world.config)).values["log"] == DONE


async def test_finished_tasks_of_a_step_that_died_are_not_done_again(world: World) -> None:
    await world.begin(1)
    world.dying = "right"
    with pytest.raises(Killed):
        await world.resume(2)
    world.dying, world.ran = "", []
    done = await world.resume(3)
    assert sorted(done["log"]) == sorted(DONE)
    assert world.ran == ["right", "end"]


async def test_an_attempt_that_died_in_its_first_step_leaves_the_block_as_it_was(world: World) -> None:
    await world.begin(1)
    world.dying = "gate"
    with pytest.raises(Killed):
        await world.resume(2, "no")
    world.dying = ""
    assert (await world.resume(3))["log"] == DONE


async def test_a_copy_that_was_cut_short_belongs_to_nothing(world: World) -> None:
    await world.begin(1)
    async with world.memory.checkpoints(world.workflow_id, 1) as first:
        kept = await first.aget_tuple(world.config)
    assert kept
    async with world.memory.checkpoints(world.workflow_id, 2) as second:
        await second.aput_writes(kept.config, [("log", ["half a copy"])], "some-task")
    assert (await world.resume(3))["log"] == DONE


async def test_the_newest_checkpoint_is_the_latest_step_also_when_clocks_differ(world: World) -> None:
    await world.begin(1)
    async with world.memory.checkpoints(world.workflow_id, 2) as saver:
        kept = await saver.aget_tuple(world.config)
        assert kept
        early = {**kept.checkpoint, "id": "1" + kept.checkpoint["id"][1:], "ts": "2020-01-01T00:00:00+00:00"}
        step = kept.metadata["step"] + 1
        await saver.aput(kept.config, early, {**kept.metadata, "step": step}, {})  # type: ignore[arg-type]
        found = await saver.aget_tuple(world.config)
    assert found
    assert found.checkpoint["id"] == early["id"]


async def test_a_memory_that_asks_for_patience_is_waited_for(tmp_path: Any, start_program: Any) -> None:
    config = tmp_path / "agentcore.yaml"
    config.write_text("limits: {events_per_second: 5}\n")
    command = (sys.executable, "-m", "agentcore_local", "--port", "0", "--config", str(config))
    _, url = start_program(*command, "--state-dir", str(tmp_path / "state"), ready=r"ready on (http://\S+)")
    world = World(url)
    await world.begin(1)
    assert (await world.resume(2))["log"] == DONE


async def test_a_memory_that_is_away_is_unavailable() -> None:
    memory = AgentCoreMemory(Settings(agentcore_endpoint_url="http://127.0.0.1:9"), attempts=1)
    async with memory.checkpoints("wf", 1) as saver:
        with pytest.raises(Unavailable, match="reading the checkpoints"):
            await saver.aget_tuple({"configurable": {"thread_id": "wf"}})
