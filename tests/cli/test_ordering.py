"""Conversations that ran beside each other end in the order in which they once ended."""

import asyncio

from amelia.contract import events as e
from amelia.drivers.base import Label
from amelia_cli.ordering import Order

FINISHED = ("developer-a-1", "developer-b-1", "reviewer-security-1", "reviewer-usability-1")


def label(agent: str, task: str) -> Label:
    return Label(workflow_id="wf", issue="1", agent=agent, task=task)


def begun(order: Order, agent: str, *tasks: str) -> None:
    for task in tasks:
        order.hear(e.AgentStarted(id="1", workflow_id="wf", agent=agent, task_id=task))


async def test_a_last_turn_waits_for_the_developer_who_once_ended_before() -> None:
    order = Order(FINISHED, {"developer-a-1": 3, "developer-b-1": 2})
    begun(order, "developer", "a", "b")
    await order.its_turn(label("developer", "b"), 1)
    await order.its_turn(label("developer", "a"), 3)
    waiting = asyncio.create_task(order.its_turn(label("developer", "b"), 2))
    await asyncio.sleep(0)
    assert not waiting.done()
    order.hear(e.AgentCompleted(id="2", workflow_id="wf", agent="developer", task_id="a"))
    await waiting


async def test_nobody_waits_for_a_task_that_is_not_under_way_and_reviewers_for_none() -> None:
    order = Order(FINISHED, dict.fromkeys(FINISHED, 1))
    begun(order, "developer", "b")
    await order.its_turn(label("developer", "b"), 1)
    await order.its_turn(label("developer", "unknown"), 1)
    begun(order, "reviewer", "security", "usability")
    await order.its_turn(label("reviewer", "usability"), 1)
