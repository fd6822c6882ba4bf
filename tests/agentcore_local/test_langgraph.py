import uuid
from collections.abc import Callable
from typing import Any, Literal, TypedDict

import pytest
from langchain_core.runnables import RunnableConfig
from langgraph.graph import END, START, StateGraph
from langgraph.types import Command, interrupt
from langgraph_checkpoint_aws import AgentCoreMemorySaver  # type: ignore[import-untyped]

from .conftest import Server

MEMORY = "checkpoints-abcdefghij"
FORMATS: tuple[Literal["legacy", "snapshot"], ...] = ("legacy", "snapshot")


class State(TypedDict, total=False):
    steps: list[str]
    approved: str


def plan(state: State) -> State:
    return {"steps": [*state.get("steps", []), "planned"]}


def gate(state: State) -> State:
    return {"approved": interrupt("approve?")}


def work(state: State) -> State:
    return {"steps": [*state["steps"], f"worked on {state['approved']}"]}


def graph(server: Server, checkpoint_format: Literal["legacy", "snapshot"]) -> Any:
    saver = AgentCoreMemorySaver(
        MEMORY,
        checkpoint_format=checkpoint_format,
        region_name="us-east-1",
        endpoint_url=server.url,
        aws_access_key_id="dummy",
        aws_secret_access_key="dummy",
    )
    server.clients.append(saver.checkpoint_event_client.client)
    builder = StateGraph(State)
    builder.add_node("plan", plan)
    builder.add_node("gate", gate)
    builder.add_node("work", work)
    builder.add_edge(START, "plan")
    builder.add_edge("plan", "gate")
    builder.add_edge("gate", "work")
    builder.add_edge("work", END)
    return builder.compile(checkpointer=saver)


@pytest.mark.parametrize("checkpoint_format", FORMATS)
def test_an_interrupted_graph_resumes_after_the_server_was_killed(
    servers: Callable[..., Server], checkpoint_format: Literal["legacy", "snapshot"]
) -> None:
    server = servers()
    config: RunnableConfig = {"configurable": {"thread_id": f"wf-{uuid.uuid4()}", "actor_id": "team/ada"}}
    stopped = graph(server, checkpoint_format).invoke({"steps": []}, config)
    assert [item.value for item in stopped["__interrupt__"]] == ["approve?"]
    server.restart()
    resumed = graph(server, checkpoint_format)
    assert resumed.get_state(config).next == ("gate",)
    done = resumed.invoke(Command(resume="monday"), config)
    assert done == {"steps": ["planned", "worked on monday"], "approved": "monday"}
    history = [state.next for state in resumed.get_state_history(config)]
    assert history[0] == ()
    assert ("gate",) in history
    resumed.checkpointer.delete_thread(config["configurable"]["thread_id"], "team/ada")
    assert resumed.get_state(config).values == {}
