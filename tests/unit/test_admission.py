"""Who gets the next place. The rules are checked on crowds of every kind."""

from collections import Counter
from random import Random
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from amelia.contract.workflow import Budget, Left
from amelia.domain.admission import Turn, admit, places
from amelia.domain.crowd import Crowd, Limits, Owner, Quarantine, Running, Waiting, need
from amelia.domain.overlap import shared
from amelia.domain.reservation import Purse, Wait, reserve

from ..samples import NOW

DOLLAR = 1_000_000
PATHS = st.sampled_from([None, ("a.py",), ("src",), ("src/b.py", "c.py"), ("**",), ("docs/*.md",)])
OWNERS = st.sampled_from(["ada", "bob", "cy"])
REPOSITORIES = st.sampled_from(["r1", "r2"])
SMALL = st.sampled_from([0, 0, DOLLAR, 3 * DOLLAR])


def waits(id_: str, owner: str = "ada", **fields: object) -> Waiting:
    known = {"id": id_, "owner": owner, "team": "blue", "repository": "r1", "since": NOW}
    return Waiting(**{**known, **fields})  # type: ignore[arg-type]


def runs(id_: str, owner: str = "ada", **fields: object) -> Running:
    return Running(**{"id": id_, "owner": owner, "team": "blue", "repository": "r1", **fields})  # type: ignore[arg-type]


@st.composite
def crowds(draw: st.DrawFn) -> tuple[Crowd, Limits]:
    waiting = [
        waits(
            f"w{n:02}",
            draw(OWNERS),
            repository=draw(REPOSITORIES),
            since=f"2026-11-22T11:{draw(st.integers(0, 9)):02}:00.000Z",
            priority=draw(st.sampled_from([0, 0, 0, 5])),
            paths=draw(PATHS),
            budget=Budget(microdollars=draw(SMALL)),
            spent=Budget(microdollars=draw(st.sampled_from([0, 0, DOLLAR]))),
        )
        for n in range(draw(st.integers(0, 14)))
    ]
    running = [
        runs(
            f"r{n}",
            draw(OWNERS),
            repository=draw(REPOSITORIES),
            paths=draw(PATHS),
            reserved=Budget(microdollars=draw(SMALL)),
        )
        for n in range(draw(st.integers(0, 5)))
    ]
    quarantine = [Quarantine(repository="r2", until=NOW, failures=3, cause="no")] if draw(st.booleans()) else []
    limits = Limits(
        fleet=draw(st.integers(1, 9)),
        user=draw(st.integers(0, 3)),
        repository=draw(st.integers(0, 4)),
        month=Budget(microdollars=draw(st.sampled_from([0, 10 * DOLLAR]))),
    )
    crowd = Crowd(
        now=NOW,
        waiting=tuple(waiting),
        running=tuple(running),
        quarantine=tuple(quarantine),
        months={("blue", "ada"): Budget(microdollars=draw(st.integers(0, 11)) * DOLLAR)},
        slot_seconds=draw(st.sampled_from([0.0, 60.0])),
        queued=len(waiting),
    )
    return crowd, limits


def placed(crowd: Crowd, turn: Turn) -> list[Waiting]:
    """Those who got a place, in their order."""
    known = {w.id: w for w in crowd.waiting}
    return [known[one.id] for one in turn.admitted if not one.used_up]


def afterwards(crowd: Crowd, turn: Turn) -> Crowd:
    """The crowd when all who were admitted have begun."""
    reserved = {one.id: one.reserved for one in turn.admitted}
    begun = [
        runs(w.id, w.owner, repository=w.repository, paths=w.paths, reserved=reserved[w.id])
        for w in placed(crowd, turn)
    ]
    left = tuple(w for w in crowd.waiting if w.id in turn.places)
    return replace(crowd, waiting=left, running=(*crowd.running, *begun), queued=len(left))


@given(crowds())
@settings(max_examples=120, deadline=None)
def test_no_limit_is_ever_passed(case: tuple[Crowd, Limits]) -> None:
    crowd, limits = case
    turn = admit(crowd, limits)
    got = placed(crowd, turn)
    everyone: list[Running | Waiting] = [*crowd.running, *got]
    assert not got or len(everyone) <= limits.fleet
    assert not {w.repository for w in got} & {q.repository for q in crowd.quarantine}
    for w in got:
        assert not limits.user or sum(x.who == w.who for x in everyone) <= limits.user
        assert not limits.repository or sum(x.repository == w.repository for x in everyone) <= limits.repository
        for other in everyone:
            if other.id != w.id and other.repository == w.repository and other.paths and w.paths:
                assert not shared(w.paths, other.paths)
    if limits.month:
        set_aside: Counter[Owner] = Counter()
        for r in crowd.running:
            set_aside[r.who] += r.reserved.microdollars
        for one, w in zip((one for one in turn.admitted if not one.used_up), got, strict=True):
            set_aside[w.who] += one.reserved.microdollars
            spent = crowd.months.get(w.who, Budget()).microdollars
            assert one.reserved.microdollars > 0
            assert set_aside[w.who] + spent <= limits.month.microdollars


@given(crowds())
@settings(max_examples=120, deadline=None)
def test_who_could_run_is_not_left_waiting(case: tuple[Crowd, Limits]) -> None:
    """Everyone has a place or a reason; asked once more, nobody else can enter."""
    crowd, limits = case
    turn = admit(crowd, limits)
    assert {one.id for one in turn.admitted} | set(turn.places) == {w.id for w in crowd.waiting}
    assert all(place.limit for place in turn.places.values())
    assert [*sorted(place.position for place in turn.places.values())] == [*range(1, len(turn.places) + 1)]
    assert admit(afterwards(crowd, turn), limits).admitted == ()


@given(crowds())
@settings(max_examples=120, deadline=None)
def test_everybody_gets_a_place_in_the_end(case: tuple[Crowd, Limits]) -> None:
    """Those in progress end, the quarantine is lifted and the next month begins: then all of them begin."""
    crowd, limits = case
    for _ in range(len(crowd.waiting) + 1):
        turn = admit(crowd, limits)
        crowd = replace(afterwards(crowd, turn), running=(), quarantine=(), months={})
    assert crowd.waiting == ()


@given(crowds(), st.randoms(use_true_random=False))
@settings(max_examples=120, deadline=None)
def test_the_order_in_which_a_crowd_is_told_changes_nothing(case: tuple[Crowd, Limits], chance: Random) -> None:
    crowd, limits = case
    waiting, running = [*crowd.waiting], [*crowd.running]
    chance.shuffle(waiting)
    chance.shuffle(running)
    # who waits for whom among several in progress is told by their order
    told = replace(crowd, waiting=tuple(waiting))
    assert admit(told, limits) == admit(crowd, limits)
    other = admit(replace(crowd, running=tuple(running)), limits)
    assert other.admitted == admit(crowd, limits).admitted


@given(st.lists(st.tuples(OWNERS, st.integers(0, 9)), max_size=20), st.lists(OWNERS, max_size=6), st.integers(1, 12))
@settings(max_examples=120, deadline=None)
def test_owners_take_turns(asked: list[tuple[str, int]], held: list[str], fleet: int) -> None:
    """Nobody gets a place while somebody who holds two fewer waits."""
    waiting = tuple(
        waits(f"w{n:02}", owner, since=f"2026-11-22T11:{minute:02}:00.000Z") for n, (owner, minute) in enumerate(asked)
    )
    running = tuple(runs(f"r{n}", owner) for n, owner in enumerate(held))
    crowd = Crowd(now=NOW, waiting=waiting, running=running, queued=len(waiting))
    turn = admit(crowd, Limits(fleet=fleet))
    holds = Counter(held)
    for w in placed(crowd, turn):
        others = {x.owner for x in waiting if x.id in turn.places}
        assert all(holds[w.owner] <= holds[other] for other in others)
        holds[w.owner] += 1


def test_priority_comes_before_turns_and_turns_before_age() -> None:
    crowd = Crowd(
        now=NOW,
        waiting=(
            waits("old", "ada", since="2026-11-22T10:00:00.000Z"),
            waits("older", "bob", since="2026-11-22T09:00:00.000Z"),
            waits("late", "ada", since="2026-11-22T11:00:00.000Z", priority=1),
        ),
        running=(runs("r1", "bob"),),
        queued=3,
    )
    assert [one.id for one in admit(crowd, Limits(fleet=4)).admitted] == ["late", "older", "old"]
    told = places(replace(crowd, running=(runs("r1", "bob"), runs("r2", "cy"))), Limits(fleet=2))
    assert {id_: place.position for id_, place in told.items()} == {"late": 1, "older": 2, "old": 3}
    assert {place.limit for place in told.values()} == {"2 of 2 workflows are in progress"}


def test_each_limit_is_said_in_a_sentence() -> None:
    three = tuple(runs(f"r{n}") for n in range(3))
    assert only(three, Limits(user=3)) == "3 of 3 workflows of ada are in progress"
    assert only(three, Limits(repository=2)) == "3 of 2 workflows in the repository r1 are in progress"
    assert only(three, Limits(fleet=3)) == "3 of 3 workflows are in progress"
    closed = Quarantine(repository="r1", until="2026-11-22T12:40:00.000Z", failures=3, cause="no such host")
    said = "repository r1 is quarantined until 12:40: 3 clones failed, the last: no such host"
    assert only((), Limits(), quarantine=(closed,)) == said


def only(running: tuple[Running, ...], limits: Limits, **crowd: Any) -> str:
    """The limit that binds one who waits alone."""
    waiting = (waits("w"),)
    [place] = places(Crowd(now=NOW, waiting=waiting, running=running, queued=1, **crowd), limits).values()
    return place.limit


def test_two_plans_that_change_the_same_path_follow_each_other() -> None:
    crowd = Crowd(
        now=NOW,
        waiting=(
            waits("same", paths=("src/app.py",)),
            waits("apart", paths=("docs/a.md",)),
            waits("elsewhere", paths=("src/app.py",), repository="r2"),
            waits("planning"),
        ),
        running=(runs("wf-1", paths=("src/app.py", "x")),),
        queued=4,
    )
    turn = admit(crowd, Limits())
    assert {one.id for one in turn.admitted} == {"apart", "elsewhere", "planning"}
    assert turn.places["same"].limit == "wf-1 changes src/app.py of the same repository; waits until it ends"


def test_a_plan_that_changes_everything_is_not_overtaken_for_ever() -> None:
    crowd = Crowd(
        now=NOW,
        waiting=(waits("all", paths=("**",)), waits("b", paths=("b.py",), since="2026-11-22T12:01:00.000Z")),
        running=(runs("wf-1", paths=("a.py",)),),
        queued=2,
    )
    turn = admit(crowd, Limits())
    assert turn.admitted == ()
    assert turn.places["b"].limit == "all is to change b.py of the same repository first"
    assert [one.id for one in admit(replace(crowd, running=()), Limits()).admitted] == ["all"]


def test_paths_overlap_when_one_may_hold_the_other() -> None:
    for a, b in (
        ("src/app.py", "src/app.py"),
        ("src/app.py", "src"),
        ("src/", "src/app.py"),
        ("**", "anything/at/all.py"),
        ("src/*.py", "src/app.py"),
        ("./src/app.py", "src/app.py"),
        ("src/**/test_*.py", "src/deep"),
    ):
        assert shared((a,), (b,))
        assert shared((b,), (a,))
    for a, b in (("src/app.py", "src/app.pyi"), ("src", "srcs/a.py"), ("docs/*.md", "src/a.md")):
        assert not shared((a,), (b,))
        assert not shared((b,), (a,))


# Budgets


def purse(spent: int, reserved: int = 0, month: int = 50 * DOLLAR) -> Purse:
    amounts = {"month": month, "spent": spent, "reserved": reserved}
    return Purse(owner="ada", **{name: Budget(microdollars=n) for name, n in amounts.items()})


def test_what_a_budget_still_needs_is_set_aside_when_the_month_has_it() -> None:
    need_two = Left(microdollars=2 * DOLLAR)
    assert reserve(need_two, purse(48 * DOLLAR), NOW) == Budget(microdollars=2 * DOLLAR)
    assert reserve(Left(), purse(10 * DOLLAR), NOW) == Budget(microdollars=40 * DOLLAR), "no bound takes all there is"
    assert reserve(need_two, purse(49 * DOLLAR), NOW) == Budget(microdollars=DOLLAR), "and a larger one what is left"
    assert reserve(need_two, purse(60 * DOLLAR, month=0), NOW) == Budget()


def test_an_owner_whose_month_is_set_aside_waits_for_what_is_settled() -> None:
    told = reserve(Left(microdollars=2 * DOLLAR), purse(46_600_000, 3 * DOLLAR), NOW)
    assert told == Wait(
        reason="ada has $0.40 left of $50.00 for November, beside $3.00 reserved for what is in progress"
    )


def test_an_owner_whose_month_is_spent_waits_for_the_next() -> None:
    told = reserve(Left(), purse(50 * DOLLAR), "2026-12-31T23:00:00.000Z")
    assert told == Wait(
        reason="ada has $0.00 left of $50.00 for December; waits for January", until="2027-01-01T00:00:00.000Z"
    )


def test_tokens_are_bounded_like_dollars() -> None:
    month = Purse(owner="ada", month=Budget(tokens=5_000), spent=Budget(tokens=5_000), reserved=Budget())
    told = reserve(Left(), month, NOW)
    assert isinstance(told, Wait)
    assert told.reason == "ada has 0 tokens left of 5,000 tokens for November; waits for December"


def test_a_workflow_with_nothing_left_gets_no_place_but_a_pause() -> None:
    w = waits("w", budget=Budget(microdollars=5), spent=Budget(microdollars=5))
    [one] = admit(Crowd(now=NOW, waiting=(w,), running=(runs("r"),), queued=1), Limits(fleet=1)).admitted
    assert one.used_up


def test_where_there_is_a_monthly_budget_a_workflow_without_one_gets_the_default() -> None:
    limits = Limits(month=Budget(microdollars=50 * DOLLAR), workflow=Budget(microdollars=5 * DOLLAR))
    assert need(waits("w", spent=Budget(microdollars=DOLLAR)), limits) == Left(microdollars=4 * DOLLAR)
    assert need(waits("w"), replace(limits, month=Budget())) == Left()
    crowd = Crowd(now=NOW, waiting=(waits("a"), waits("b", "bob")), queued=2)
    assert [one.reserved.microdollars for one in admit(crowd, limits).admitted] == [5 * DOLLAR, 5 * DOLLAR]


# Estimates


def test_the_start_is_estimated_from_how_long_places_were_held() -> None:
    waiting = tuple(waits(f"w{n}") for n in range(3))
    running = tuple(runs(f"r{n}", "bob") for n in range(2))
    crowd = Crowd(now=NOW, waiting=waiting, running=running, slot_seconds=600, queued=3)
    told = places(crowd, Limits(fleet=2))
    assert [told[w.id].estimated_start[11:16] for w in waiting] == ["12:05", "12:10", "12:15"]
    assert [place.estimated_start for place in places(replace(crowd, slot_seconds=0), Limits(fleet=2)).values()] == [
        "",
        "",
        "",
    ]


def test_a_place_beyond_the_part_of_the_queue_that_was_read_is_the_one_the_journal_counted() -> None:
    crowd = Crowd(now=NOW, waiting=(waits("w", position=4_711),), running=(runs("r"),), queued=10_000)
    assert places(crowd, Limits(fleet=1))["w"].position == 4_711
