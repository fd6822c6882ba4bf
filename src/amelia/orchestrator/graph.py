"""The graph: open, plan, wait for a decision, develop, review, wait where the review is not satisfied, finish."""

from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Any, Protocol, get_args

from langgraph.graph import END, START, StateGraph

from .site import Site
from .state import State, Step, step_of
from .steps.appeal import appeal
from .steps.developing import develop
from .steps.ending import finish
from .steps.gate import gate
from .steps.opening import open_repository
from .steps.planning import plan
from .steps.reviewing import review_work

if TYPE_CHECKING:
    from langgraph.checkpoint.base import BaseCheckpointSaver
    from langgraph.graph.state import CompiledStateGraph

Action = Callable[[Site, State], Awaitable[State]]


class Node(Protocol):
    """A step as LangGraph calls it."""

    async def __call__(self, state: State) -> State: ...


STEPS: dict[Step, tuple[Action, tuple[Step, ...]]] = {
    "open": (open_repository, ("plan", "finish")),
    "plan": (plan, ("gate", "finish")),
    "gate": (gate, ("gate", "plan", "develop", "finish")),
    "develop": (develop, ("develop", "review", "finish")),
    "review": (review_work, ("develop", "appeal", "finish")),
    "appeal": (appeal, ("develop", "finish")),
    "finish": (finish, ("end",)),
}
"""What each step does, and the steps it may lead to. A step names the next one in the state it returns."""

LONG: frozenset[Step] = frozenset({"open", "plan", "review"})
"""Steps that are not begun when the session's end is near. Developers look at the time before each turn: those that are
at work when another one's task is recorded finish theirs."""

ELSEWHERE = "elsewhere"
"""The node in whose name a state is written that no step led to; it leads to any."""


def compile_graph(
    site: Site | None, saver: "BaseCheckpointSaver[str]"
) -> "CompiledStateGraph[State, None, State, State]":
    """Without a site it can be looked at and written to, not run."""
    builder = StateGraph(State)
    for name, (action, leads_to) in STEPS.items():
        builder.add_node(str(name), _node(site, name, action))
        builder.add_conditional_edges(name, step_of, _ways(leads_to))
    builder.add_node(ELSEWHERE, _as_it_is)
    builder.add_conditional_edges(ELSEWHERE, step_of, _ways(get_args(Step)))
    builder.add_edge(START, "open")
    return builder.compile(checkpointer=saver)


def _ways(steps: tuple[Step, ...]) -> dict[Any, str]:
    return {step: END if step == "end" else step for step in steps}


def _node(site: Site | None, name: Step, action: Action) -> Node:
    async def node(state: State) -> State:
        assert site is not None
        if name in LONG:
            site.check_time()
        return await action(site, state)

    return node


async def _as_it_is(state: State) -> State:
    return state
