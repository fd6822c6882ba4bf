"""Bugs, each planted by putting another function in the place of one of ours; to be caught, or the checks are blind."""

import contextlib
import importlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from typing import Any, NamedTuple

from msgspec.structs import replace

from amelia.consumer import DONE, _tried
from amelia.contract import events as e
from amelia.contract.envelope import Event
from amelia.domain.crowd import Limits
from amelia.domain.workflow import Workflow
from amelia.errors import Unavailable
from amelia.orchestrator.facts import record

Bug = Callable[[], "contextlib.AbstractContextManager[None]"]
Plan = dict[str, Any]
"""By place (``module:name`` or ``module:Class.name``) what is put there."""


class Planted(NamedTuple):
    """``invariants`` are those it may break; ``weather`` is what brings it out, and ``seed`` the first one to try."""

    invariants: tuple[str, ...]
    plant: Bug
    seed: int
    weather: Mapping[str, float]


BUGS: dict[str, Planted] = {}


def _owner(place: str) -> tuple[Any, str]:
    module, _, path = place.partition(":")
    owner: Any = importlib.import_module(module)
    *classes, name = path.split(".")
    for one in classes:
        owner = getattr(owner, one)
    return owner, name


def was(place: str) -> Any:
    owner, name = _owner(place)
    return vars(owner)[name]


def bug(*invariants: str, seed: int = 0, **weather: float) -> Callable[[Callable[[], Plan]], None]:
    def register(plan: Callable[[], Plan]) -> None:
        @contextlib.contextmanager
        def planted() -> Iterator[None]:
            with contextlib.ExitStack() as stack:
                for place, new in plan().items():
                    owner, name = _owner(place)
                    stack.callback(setattr, owner, name, vars(owner)[name])
                    setattr(owner, name, new)
                yield

        BUGS[plan.__name__] = Planted(invariants, planted, seed, weather)

    return register


@bug("I2", "I3", events_delayed=0.3, stop_disobeyed=0.5, unanswered=0.3)
def events_of_older_attempts_are_admitted() -> Plan:
    place = was("amelia.domain.intake:place")

    def unfenced(w: Workflow, event: Event) -> Any:
        return place(w, replace(event, attempt=w.epoch) if event.attempt < w.epoch and w.open else event)

    return {"amelia.domain.intake:place": unfenced}


@bug("I3")
def repeated_events_are_admitted_again() -> Plan:
    by_number = was("amelia.domain.intake:_by_number")

    def forgetful(number: int, highest: int) -> Any:
        where = by_number(number, highest)
        return "admit" if where == "duplicate" else where

    return {"amelia.domain.intake:_by_number": forgetful}


@bug("I1")
def events_are_acknowledged_before_they_are_kept() -> Plan:
    verdicts = was("amelia.consumer:Consumer._verdicts")

    async def hasty(self: Any, messages: Sequence[Any], *more: Any) -> Any:
        await _tried(self._queue.acknowledge(messages))
        return await verdicts(self, messages, *more)

    return {"amelia.consumer:Consumer._verdicts": hasty}


@bug("I6")
def an_approval_is_not_compared_with_the_plan() -> Plan:
    named = was("amelia.domain.decisions:_named")

    def whatever(w: Workflow, command: Any, verb: str) -> Any:
        block, sha256 = named(w, replace(command, block_id="", plan_sha256=""), verb)
        return block, command.plan_sha256 or sha256

    return {"amelia.domain.decisions:_named": whatever}


@bug("I4", "I6")
def a_second_decision_counts_too() -> Plan:
    named = was("amelia.domain.decisions:_named")

    def also_when_decided(w: Workflow, command: Any, verb: str) -> Any:
        return named(w, command, verb) if w.block is None else (w.block, w.block.plan_sha256)

    return {
        "amelia.domain.decisions:_named": also_when_decided,
        "amelia.domain.decisions:_already": lambda w, command, kind: False,
    }


@bug("I9", seed=13)
def leases_are_never_renewed() -> Plan:
    effects = was("amelia.domain.draft:Draft.effects")

    def unrenewed(self: Any) -> Any:
        found = effects(self)
        return replace(found, renew=any(kind == "attempt_opened" for _, _, kind, _ in found.events))

    async def no(*_: Any) -> bool:
        return False

    return {"amelia.domain.draft:Draft.effects": unrenewed, "amelia.adapters.memory.journal:MemoryJournal.renew": no}


@bug("I1", "I9")
def orders_are_settled_when_they_are_sent() -> Plan:
    send = was("amelia_dispatcher.relay:Relay._send")

    async def settling(self: Any, queue: Any, rows: Any) -> Any:
        answer = await send(self, queue, rows)
        with contextlib.suppress(Unavailable):
            await self._journal.settle([row.id for row in rows])
        return answer

    return {"amelia_dispatcher.relay:Relay._send": settling}


@bug("I6", "I2")
def whatever_is_handed_in_is_pushed() -> Plan:
    finish = was("tests.sim.carrying:Run._finish")
    deliver = was("amelia_dispatcher.deliver:Deliveries._deliver")

    async def another(self: Any, sheet: Any) -> Any:
        return await finish(self, replace(sheet, plan_sha256="f" * 64))

    async def believing(self: Any, w: Workflow, work: Any, *more: Any) -> None:
        await deliver(self, replace(w, agreed=work.plan_sha256), work, *more)

    return {"tests.sim.carrying:Run._finish": another, "amelia_dispatcher.deliver:Deliveries._deliver": believing}


@bug("I5", push_unknown=0.4)
def a_pull_request_is_not_looked_for() -> Plan:
    return {"tests.sim.outside:ForgeClient._there": lambda self, repository, branch: None}


@bug("I2", "I4", "I8", seed=24, events_delayed=0.3, stop_disobeyed=0.8)
def a_cancel_does_not_fence() -> Plan:
    place = was("amelia.domain.intake:place")

    def on_and_on(w: Workflow, event: Event) -> Any:
        if w.status == "cancelled" and event.attempt == w.epoch - 1:
            return place(replace(w, status="in_progress", epoch=w.epoch - 1, open=True), event)
        return place(w, event)

    return {"amelia.domain.intake:place": on_and_on}


@bug("I3", readers_flap=0.3)
def readers_begin_one_too_late() -> Plan:
    follow = was("amelia_api.broadcaster:Broadcaster.follow")

    def late(self: Any, workflow_id: str, after: int, *more: Any) -> Any:
        return follow(self, workflow_id, after + (after > 0), *more)

    return {"amelia_api.broadcaster:Broadcaster.follow": late}


@bug("I3")
def the_sequence_has_holes() -> Plan:
    fold = was("amelia.domain.evolve:evolve")

    def skipping(w: Workflow, event: Event) -> Workflow:
        after: Workflow = fold(w, event)
        return replace(after, sequence=after.sequence + (after.sequence == 7))

    return {"amelia.domain.intake:evolve": skipping, "amelia.domain.draft:evolve": skipping}


@bug("I1")
def a_key_comes_again_with_another_body() -> Plan:
    execute = was("amelia.adapters.memory.journal:MemoryJournal.execute")

    async def unread(self: Any, command: Any, fingerprint: str = "") -> Any:
        return await execute(self, command, "")

    return {"amelia.adapters.memory.journal:MemoryJournal.execute": unread}


@bug("I1")
def commands_are_not_remembered() -> Plan:
    apply = was("amelia.adapters.memory.transaction:apply")

    def forgetful(tables: Any, *more: Any) -> Any:
        tables.commands.clear()
        return apply(tables, *more)

    return {"amelia.adapters.memory.journal:apply": forgetful}


@bug("I7", seed=14, mean_session_kill=15)
def tokens_are_counted_by_who_says_it() -> Plan:
    spending = was("amelia.domain.evolve:spending")

    def added(w: Workflow, attempt: int, used: Any) -> Any:
        return spending(w, w.epoch, used)

    return {f"amelia.domain.{module}:spending": added for module in ("evolve", "intake", "draft")}


@bug("I9")
def a_lost_attempt_is_nobody_s_order() -> Plan:
    follow_up = was("amelia.domain.consequences:follow_up")

    def silent(w: Workflow, event: Event) -> Any:
        return None if isinstance(event, e.RuntimeLost) else follow_up(w, event)

    return {"amelia.domain.draft:follow_up": silent}


@bug("I10")
def a_failure_keeps_its_cause_to_itself() -> Plan:
    failed = was("amelia.domain.folds:failed")
    return {f"amelia.domain.{module}:failed": lambda w, cause: failed(w, "") for module in ("folds", "evolve")}


@bug("I4", people_regret=1)
def what_is_complete_can_be_cancelled() -> Plan:
    cancelled, allows = was("amelia.domain.decide:_cancelled"), was("amelia.domain.table:allows")

    def always(w: Workflow, command: Any, now: str) -> Any:
        return cancelled(replace(w, status="pending") if w.status == "completed" else w, command, now)

    def also(w: Workflow, event: Event) -> bool:
        return isinstance(event, e.WorkflowCancelled) or bool(allows(w, event))

    return {"amelia.domain.decide:_cancelled": always, "amelia.domain.evolve:allows": also}


@bug("I1")
def poison_takes_its_neighbours_with_it() -> Plan:
    handle = was("amelia_router.route:Router.handle")

    async def coarse(self: Any, messages: Sequence[Any]) -> Any:
        verdicts = await handle(self, messages)
        worst = next((verdict for verdict in verdicts if verdict.kind == "dead"), None)
        return [worst] * len(messages) if worst else verdicts

    return {"amelia_router.route:Router.handle": coarse}


@bug("I2")
def a_runtime_is_given_an_epoch_nobody_granted() -> Plan:
    call = was("amelia_dispatcher.attempt:Attempts.call")

    async def ahead(self: Any, w: Workflow, command_id: str) -> Any:
        return await call(self, replace(w, epoch=w.epoch + 1), command_id)

    return {"amelia_dispatcher.attempt:Attempts.call": ahead}


@bug("I8")
def sessions_are_never_stopped() -> Plan:
    async def nothing(*_: Any) -> None:
        return None

    return {"amelia_dispatcher.sessions:stop": nothing}


@bug("caps")
def everybody_is_admitted() -> Plan:
    return {"amelia_dispatcher.admission:limits_of": lambda settings: Limits(fleet=1_000)}


@bug("I9", people_think=1)
def deadlines_are_ignored() -> Plan:
    return {"amelia.domain.timers:due": lambda w, now: ()}


@bug("I1", hangs=0.1)
def an_attempt_that_does_nothing_is_let_be() -> Plan:
    overdue = was("amelia.adapters.memory.journal:MemoryJournal.overdue")

    async def patient(self: Any, **options: Any) -> Any:
        return await overdue(self, **{**options, "progress_seconds": 0})

    return {"amelia.adapters.memory.journal:MemoryJournal.overdue": patient}


@bug("I3", seed=5, memory_unknown=0.2, memory_away=0.2, mean_session_kill=10)
def facts_are_announced_before_they_are_kept() -> Plan:
    async def hasty(self: Any, state: Any, sheet: Any, said: Any) -> Any:
        state = record(state, sheet, said, self._asked.highest_fact)
        await self._announce(state)
        await self._memory(partial(self._world.memory.keep, self._thread, self._asked.epoch, state))
        return state

    return {"tests.sim.carrying:Run._kept": hasty}


@bug(
    "I9",
    seed=26,
    mean_stop=4,
    mean_kill=0,
    mean_session_kill=0,
    mean_session_stop=0,
    mean_outage=0,
    unanswered=0.5,
    slow=0,
    clock_steps=0,
    events_doubled=0,
)
def a_router_that_lags_is_not_waited_for() -> Plan:
    return {"amelia.adapters.memory.journal:MemoryJournal._read_by": lambda self, *_: self._now}


@bug("I3", slow=0.1, readers_flap=0.4)
def a_reader_joins_behind_what_was_read() -> Plan:
    join = was("amelia_api.broadcaster:Broadcaster._join")

    def behind(self: Any, workflow_id: str, reached: int, reader: Any) -> int:
        join(self, workflow_id, reached, reader)
        return reached

    return {"amelia_api.broadcaster:Broadcaster._join": behind}


@bug("quarantine", clone_fails=1)
def a_repository_that_fails_is_asked_again_at_once() -> Plan:
    return {"amelia.adapters.memory.crowd:_quarantine": lambda tables, now, limits: ()}


@bug("I10", poison=1)
def what_is_refused_is_dropped() -> Plan:
    async def dropped(*_: Any) -> Any:
        return DONE

    return {"amelia.consumer:Consumer._buried": dropped}


@bug("I7", mean_session_kill=0, mean_session_stop=0, kill_at_call=0, seed=17)
def a_budget_is_looked_at_when_it_is_gone() -> Plan:
    return {"amelia.orchestrator.account:Account.has_room_for": lambda self, estimate: True}


@bug("I3", mean_session_kill=5)
def what_models_answered_is_forgotten() -> Plan:
    async def nothing(self: Any, key: str) -> None:
        return None

    return {"tests.sim.outside:ObjectsClient.read": nothing}


@bug("I1", keys_rotate=1)
def a_key_that_is_not_known_yet_is_never_looked_for() -> Plan:
    async def looked(self: Any) -> bool:
        return True

    return {"tests.sim.keys:KeysClient.refresh": looked}


@bug("I8", seed=17, slow=0.3, people_stop_deliveries=1, mean_outage=0, journal_away=0, journal_unknown=0)
def a_cancel_does_not_wait_for_the_delivery() -> Plan:
    return {"tests.sim.client:beside_delivery": lambda journal, workflow_id: contextlib.nullcontext()}
