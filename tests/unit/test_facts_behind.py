"""How facts are numbered when the memory and the journal do not agree."""

from amelia.contract.envelope import Event
from amelia.contract.events import AgentStarted
from amelia.orchestrator.facts import above, fact_id, record
from amelia.orchestrator.state import State, Work, encoded

WF = "wf-6f2f7a52-3f0c-4d0b-9d7e-0a4c6a1e2d11"


def said(many: int) -> list[Event]:
    return [AgentStarted(id="", workflow_id=WF, attempt=1, agent="developer") for _ in range(many)]


def remembered(facts: int) -> State:
    return record(State(work=encoded(Work()), facts=[], last_fact=0), Work(), said(facts), held=0)


def numbers(state: State) -> list[int]:
    return [fact.fact for fact in above(state, 0)]


def test_a_memory_behind_the_journal_is_numbered_on_from_the_journal() -> None:
    state = record(remembered(2), Work(), said(2), held=5)
    assert (numbers(state), state["last_fact"]) == ([6, 7], 7)
    assert [fact.id for fact in above(state, 0)] == [fact_id(WF, number, "agent_started") for number in (6, 7)]
    assert numbers(record(state, Work(), said(1), held=5)) == [6, 7, 8]


def test_a_memory_ahead_of_the_journal_is_numbered_on_from_the_memory() -> None:
    state = record(remembered(3), Work(), said(1), held=1)
    assert (numbers(state), state["last_fact"]) == ([2, 3, 4], 4)


def test_a_step_that_says_nothing_keeps_up_with_the_journal() -> None:
    state = record(remembered(2), Work(), (), held=5)
    assert (numbers(state), state["last_fact"]) == ([], 5)
    assert numbers(record(state, Work(), said(1), held=5)) == [6]
