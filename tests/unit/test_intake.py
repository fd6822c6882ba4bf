"""Whatever the bus does to what a runtime says, the same is admitted."""

from collections.abc import Sequence
from itertools import pairwise

import msgspec
from hypothesis import given, settings
from hypothesis import strategies as st

from amelia.contract import events as e
from amelia.contract.envelope import Event
from amelia.contract.workflow import Money
from amelia.domain.evolve import evolve
from amelia.domain.intake import Intake, Said, behind, gap, heard, take
from amelia.domain.workflow import Workflow

from ..samples import Voice, opening, workflow

SETTINGS = settings(max_examples=120, deadline=None)


def running(**fields: object) -> Workflow:
    w = workflow(**fields)
    return evolve(w, opening(w))


def spoken(w: Workflow, shape: Sequence[bool]) -> list[Event]:
    """A runtime's day: a fact for each true, progress for each false, and work handed in at the end."""
    voice = Voice(w.id, attempt=w.epoch)
    said: list[Event] = [voice.fact() if is_fact else voice.progress() for is_fact in shape]
    return [*said, voice.fact(e.WorkHandedIn), voice.fact(e.WorkflowCompleted)]


@st.composite
def batches(draw: st.DrawFn, events: Sequence[Event]) -> list[list[Event]]:
    """All of the events, some of them twice, in any order, in any pieces."""
    doubled = draw(st.lists(st.sampled_from(events), max_size=len(events)))
    arriving = draw(st.permutations([*events, *doubled]))
    cuts = sorted(draw(st.sets(st.integers(0, len(arriving)), max_size=6)))
    edges = [0, *cuts, len(arriving)]
    return [list(arriving[a:b]) for a, b in pairwise(edges)]


class Journal:
    """The rows that a journal would keep."""

    def __init__(self, w: Workflow) -> None:
        self.workflow = w
        self.first = w.sequence
        self.stream: list[tuple[int, Event]] = []
        self.early: tuple[Event, ...] = ()
        self.heard = Said()

    def append(self, events: Sequence[Event]) -> Intake:
        self.heard = heard(self.heard, self.workflow, events)
        took = take(self.workflow, [*self.early, *events])
        self.workflow, self.early = took.workflow, took.early
        self.stream += took.admitted
        return took

    def close_gap(self) -> bool:
        missing = gap(self.workflow, self.early, self.heard)
        if missing is None:
            return False
        self.workflow = evolve(self.workflow, missing)
        self.stream.append((self.workflow.sequence, missing))
        self.append(())
        return True

    def is_dense(self) -> bool:
        return [n for n, _ in self.stream] == list(range(self.first + 1, self.workflow.sequence + 1))

    def said(self) -> list[Event]:
        return [event for _, event in self.stream]


@SETTINGS
@given(st.lists(st.booleans(), max_size=14), st.data())
def test_any_order_any_copies_and_any_pieces_admit_the_same(shape: list[bool], data: st.DataObject) -> None:
    w = running()
    events = spoken(w, shape)
    journal = Journal(w)
    for batch in data.draw(batches(events)):
        journal.append(batch)
    said = journal.said()
    assert journal.early == ()
    assert journal.is_dense()
    assert [x for x in said if x.fact] == [x for x in events if x.fact]
    assert [x for x in said if x.ordinal] == [x for x in events if x.ordinal]
    assert (journal.workflow.status, journal.workflow.phase) == ("in_progress", "delivering")


@SETTINGS
@given(st.lists(st.booleans(), max_size=14), st.data())
def test_progress_never_comes_before_the_fact_it_names(shape: list[bool], data: st.DataObject) -> None:
    w = running()
    journal = Journal(w)
    for batch in data.draw(batches(spoken(w, shape))):
        journal.append(batch)
    last_fact = 0
    for event in journal.said():
        assert event.last_fact <= last_fact
        last_fact = event.fact or last_fact


@SETTINGS
@given(st.lists(st.booleans(), min_size=3, max_size=16), st.data())
def test_lost_progress_leaves_no_silent_hole(shape: list[bool], data: st.DataObject) -> None:
    w = running()
    events = spoken(w, shape)
    lost = data.draw(st.sets(st.sampled_from(range(1, 17)), max_size=8))
    arriving = [x for x in events if x.ordinal not in lost]
    journal = Journal(w)
    for batch in data.draw(batches(arriving)):
        journal.append(batch)
        if data.draw(st.booleans()):
            journal.close_gap()
    while journal.close_gap():
        pass
    assert journal.early == ()
    assert journal.is_dense()
    assert [x for x in journal.said() if x.fact] == [x for x in events if x.fact]
    assert_no_silent_hole(journal.said(), max((x.ordinal for x in arriving), default=0))


def assert_no_silent_hole(said: Sequence[Event], highest: int) -> None:
    expected = 1
    for event in said:
        if isinstance(event, e.EventsMissing):
            assert event.first == expected
            expected = event.last + 1
        elif event.ordinal:
            assert event.ordinal == expected
            expected += 1
    assert expected == highest + 1


@SETTINGS
@given(st.lists(st.booleans(), max_size=8), st.lists(st.booleans(), max_size=8), st.data())
def test_two_attempts_speaking_at_once_give_what_the_younger_says(
    old: list[bool], new: list[bool], data: st.DataObject
) -> None:
    """The younger one announces again from the journal's highest fact, as an invocation asks it to."""
    w = running()
    stale = spoken(w, old)
    journal = Journal(w)
    for batch in data.draw(batches(stale[: data.draw(st.integers(0, len(stale) - 2))] or [stale[0]])):
        journal.append(batch)
    lost = e.RuntimeLost(id="lost", workflow_id=w.id, cause="gone")
    journal.workflow = evolve(journal.workflow, lost)
    journal.workflow = evolve(journal.workflow, opening(journal.workflow))
    fact_before, admitted_before = journal.workflow.fact, len(journal.stream)
    journal.first, journal.stream = journal.workflow.sequence, []
    voice = Voice(w.id, attempt=2, fact=fact_before)
    said: list[Event] = [voice.fact() if is_fact else voice.progress() for is_fact in [*new, True]]
    for batch in data.draw(batches([*said, *stale])):
        journal.append(batch)
    assert journal.said() != [] or admitted_before == 0
    assert all(x.attempt == 2 for x in journal.said())
    assert [x for x in journal.said() if x.fact] == [x for x in said if x.fact]
    assert journal.workflow.status == "in_progress"


def test_a_declared_hole_that_arrives_late_is_kept_and_not_shown() -> None:
    w = running()
    voice = Voice(w.id)
    first, second, third = voice.progress(), voice.progress(), voice.progress()
    journal = Journal(w)
    journal.append([first, third])
    assert journal.close_gap()
    took = journal.append([second])
    assert (took.admitted, took.late) == ((), (second,))


def test_no_gap_is_declared_while_a_fact_is_what_is_missing() -> None:
    w = running()
    voice = Voice(w.id)
    voice.fact()
    waiting = [voice.progress()]
    said = heard(Said(), w, waiting)
    assert behind(w, said)
    assert gap(w, waiting, said) is None
    missing = gap(w, waiting, said, over=True)
    assert missing is not None
    assert (missing.first, missing.last) == (1, 1), "its attempt is over: it can no more be waited for"


def test_facts_of_an_attempt_that_was_lost_are_left_for_the_next_to_say() -> None:
    """The journal would hold a number without its meaning, and nobody would say it again."""
    w = running()
    voice = Voice(w.id)
    w = evolve(w, e.RuntimeLost(id="1", workflow_id=w.id, cause="gone"))
    blocked = voice.fact(e.WorkflowBlocked)
    took = take(w, [blocked])
    assert (took.admitted, took.stale) == ((), (blocked,))
    assert took.workflow.fact == 0
    again = evolve(took.workflow, opening(took.workflow))
    said_again = msgspec.structs.replace(blocked, attempt=2)
    assert take(again, [said_again]).workflow.status == "blocked"


def test_what_older_attempts_spent_is_counted_once_and_never_less() -> None:
    w = workflow(epoch=3, status="in_progress", open=True)

    def used(attempt: int, tokens: int, cost: int = 0) -> e.TokensUsed:
        money = Money(input_tokens=tokens, cost_microdollars=cost)
        return e.TokensUsed(id="1", workflow_id=w.id, attempt=attempt, fact=attempt, used=money)

    for event in (used(1, 10, 5), used(1, 10, 5), used(1, 4, 2), used(2, 7), used(2, 9), used(2, 8), used(4, 99)):
        w = take(w, [event]).workflow
    assert w.spent == {1: Money(input_tokens=10, cost_microdollars=5), 2: Money(input_tokens=9)}


def test_unknown_facts_keep_their_number_among_the_known() -> None:
    w = running()
    voice = Voice(w.id)
    first = voice.fact()
    voice.last_fact += 1
    unknown = e.UnknownEvent(id="u", workflow_id=w.id, attempt=1, fact=2, of_type="agent_dreamt")
    third = voice.fact()
    took = take(w, [third, unknown, first])
    assert [x.fact for _, x in took.admitted] == [1, 2, 3]
