"""Bugs, each planted by putting another function in the place of one of ours; to be caught, or the checks are blind."""

import asyncio
import contextlib
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any

from msgspec.structs import replace

import amelia.adapters.memory.journal as books
import amelia.adapters.memory.transaction as transaction
import amelia.consumer as consumer
import amelia.domain.changes as changes
import amelia.domain.decide as decide
import amelia.domain.decisions as decisions
import amelia.domain.evolve as evolve
import amelia.domain.intake as intake
import amelia.domain.timers as timers
import amelia_api.broadcaster as broadcaster
import amelia_dispatcher.attempt as attempt
import amelia_dispatcher.deliver as deliver
import amelia_dispatcher.dispatch as dispatch
import amelia_dispatcher.relay as relay
import amelia_dispatcher.sessions as sessions
import amelia_router.route as route
from amelia.contract import events as e
from amelia.contract.envelope import Event
from amelia.domain.workflow import Workflow
from amelia.errors import Unavailable

from . import carrying, outside

Bug = Callable[[], "contextlib.AbstractContextManager[None]"]
BUGS: dict[str, tuple[str, Bug]] = {}
"""By name: the invariants it may break, joined by a bar, and how it is planted."""


def bug(invariants: str) -> Callable[[Callable[[], Iterable[tuple[Any, str, Any]]]], None]:
    """Registers what is put where: an object, the name of its attribute, and the new one."""

    def register(plan: Callable[[], Iterable[tuple[Any, str, Any]]]) -> None:
        @contextlib.contextmanager
        def planted() -> Iterator[None]:
            with contextlib.ExitStack() as stack:
                for owner, name, new in plan():
                    stack.callback(setattr, owner, name, vars(owner)[name])
                    setattr(owner, name, new)
                yield

        BUGS[plan.__name__] = (invariants, planted)

    return register


@bug("I2|I3")
def events_of_older_attempts_are_admitted() -> Iterable[tuple[Any, str, Any]]:
    place = intake.place

    def unfenced(w: Workflow, event: Event) -> intake.Place:
        return place(w, replace(event, attempt=w.epoch) if event.attempt < w.epoch and w.open else event)

    return [(intake, "place", unfenced)]


@bug("I3")
def repeated_events_are_admitted_again() -> Iterable[tuple[Any, str, Any]]:
    by_number = intake._by_number

    def forgetful(number: int, highest: int) -> intake.Place:
        where = by_number(number, highest)
        return "admit" if where == "duplicate" else where

    return [(intake, "_by_number", forgetful)]


@bug("I1")
def events_are_acknowledged_before_they_are_kept() -> Iterable[tuple[Any, str, Any]]:
    verdicts = consumer.Consumer._verdicts

    async def hasty(self: consumer.Consumer, messages: Sequence[Any], *more: Any) -> Sequence[Any]:
        await consumer._tried(self._queue.acknowledge(messages))
        return await verdicts(self, messages, *more)

    return [(consumer.Consumer, "_verdicts", hasty)]


@bug("I1|I2|I3|I5|I9")
def facts_are_announced_before_their_checkpoint() -> Iterable[tuple[Any, str, Any]]:
    memory = carrying.Run._memory

    async def announcing_first(self: carrying.Run, effect: Any) -> Any:
        state = effect.args[2] if getattr(effect, "args", ()) else None
        if state is not None:
            await self._announce(state)
            await asyncio.sleep(2)
        return await memory(self, effect)

    return [(carrying.Run, "_memory", announcing_first)]


@bug("I6")
def an_approval_is_not_compared_with_the_plan() -> Iterable[tuple[Any, str, Any]]:
    named = decisions._named

    def whatever(w: Workflow, command: Any, verb: str) -> Any:
        block, sha256 = named(w, replace(command, block_id="", plan_sha256=""), verb)
        return block, command.plan_sha256 or sha256

    return [(decisions, "_named", whatever)]


@bug("I6")
def a_second_decision_counts_too() -> Iterable[tuple[Any, str, Any]]:
    def also_when_decided(w: Workflow, command: Any, verb: str) -> Any:
        if w.block is None:
            return named(w, command, verb)
        return w.block, w.block.plan_sha256

    named = decisions._named
    return [(decisions, "_named", also_when_decided), (decisions, "_already", lambda w, command, kind: False)]


@bug("I9")
def leases_are_never_renewed() -> Iterable[tuple[Any, str, Any]]:
    append = changes._append

    def unrenewed(*arguments: Any) -> Any:
        return replace(append(*arguments), renew=False)

    return [(changes, "_append", unrenewed)]


@bug("I1|I9")
def orders_are_settled_when_they_are_sent() -> Iterable[tuple[Any, str, Any]]:
    send = relay.Relay._send

    async def settling(self: relay.Relay, rows: Any, *more: Any) -> Any:
        answer = await send(self, rows, *more)
        with contextlib.suppress(Unavailable):
            await self._journal.settle([row.id for row in rows])
        return answer

    return [(relay.Relay, "_send", settling)]


@bug("I6|I2")
def whatever_is_handed_in_is_pushed() -> Iterable[tuple[Any, str, Any]]:
    finish = carrying.Run._finish

    async def another(self: carrying.Run, sheet: carrying.Sheet) -> Any:
        return await finish(self, replace(sheet, plan_sha256="f" * 64))

    deliver_ = deliver.Deliveries._deliver

    async def believing(self: deliver.Deliveries, w: Workflow, work: Any, command_id: str) -> None:
        decision = w.decision and replace(w.decision, plan_sha256=work.plan_sha256)
        await deliver_(self, replace(w, decision=decision), work, command_id)

    return [(carrying.Run, "_finish", another), (deliver.Deliveries, "_deliver", believing)]


@bug("I5")
def a_pull_request_is_not_looked_for() -> Iterable[tuple[Any, str, Any]]:
    return [(outside.Remote, "request", lambda self, repository, branch: None)]


@bug("I2|I4|I8")
def a_cancel_does_not_fence() -> Iterable[tuple[Any, str, Any]]:
    place = intake.place

    def on_and_on(w: Workflow, event: Event) -> intake.Place:
        if w.status == "cancelled" and event.attempt == w.epoch - 1:
            return place(replace(w, status="in_progress", epoch=w.epoch - 1, open=True), event)
        return place(w, event)

    return [(intake, "place", on_and_on)]


@bug("I3")
def gaps_are_never_closed() -> Iterable[tuple[Any, str, Any]]:
    async def nothing(self: Any, workflow_id: str) -> None:
        return None

    return [(books.MemoryJournal, "close_gap", nothing)]


@bug("I3")
def readers_begin_one_too_late() -> Iterable[tuple[Any, str, Any]]:
    follow = broadcaster.Broadcaster.follow

    def late(self: Any, workflow_id: str, after: int, *more: Any) -> Any:
        return follow(self, workflow_id, after + (after > 0), *more)

    return [(broadcaster.Broadcaster, "follow", late)]


@bug("I3")
def readers_join_behind_what_was_read() -> Iterable[tuple[Any, str, Any]]:
    def join(self: Any, workflow_id: str, reached: int, reader: Any) -> int:
        channel = self._channels.setdefault(workflow_id, broadcaster._Channel(reached))
        channel.readers[reader] = None
        return reached

    return [(broadcaster.Broadcaster, "_join", join)]


@bug("I3")
def the_sequence_has_holes() -> Iterable[tuple[Any, str, Any]]:
    fold = evolve.evolve

    def skipping(w: Workflow, event: Event) -> Workflow:
        after = fold(w, event)
        return replace(after, sequence=after.sequence + (after.sequence == 7))

    return [(intake, "evolve", skipping)]


@bug("I1")
def a_key_comes_again_with_another_body() -> Iterable[tuple[Any, str, Any]]:
    execute = books.MemoryJournal.execute

    async def unread(self: Any, command: Any, fingerprint: str = "") -> Any:
        return await execute(self, command, "")

    return [(books.MemoryJournal, "execute", unread)]


@bug("I1")
def commands_are_not_remembered() -> Iterable[tuple[Any, str, Any]]:
    apply = transaction.apply

    def forgetful(tables: Any, *more: Any) -> Any:
        tables.commands.clear()
        return apply(tables, *more)

    return [(books, "apply", forgetful)]


@bug("I7")
def tokens_are_counted_by_who_says_it() -> Iterable[tuple[Any, str, Any]]:
    spending = evolve.spending

    def added(w: Workflow, attempt: int, used: Any) -> Workflow:
        return spending(w, w.epoch, used)

    return [(evolve, "spending", added), (intake, "spending", added)]


@bug("I9")
def a_lost_attempt_is_nobody_s_order() -> Iterable[tuple[Any, str, Any]]:
    follow_up = changes.follow_up

    def silent(w: Workflow, event: Event) -> Any:
        return None if isinstance(event, e.RuntimeLost) else follow_up(w, event)

    return [(changes, "follow_up", silent)]


@bug("I10")
def a_failure_keeps_its_cause_to_itself() -> Iterable[tuple[Any, str, Any]]:
    failed = evolve._failed
    return [(evolve, "_failed", lambda w, cause: failed(w, ""))]


@bug("I4")
def what_is_complete_can_be_cancelled() -> Iterable[tuple[Any, str, Any]]:
    cancelled, allows = decide._cancelled, evolve.allows

    def always(w: Workflow, command: Any, now: str) -> tuple[Event, ...]:
        return cancelled(replace(w, status="pending") if w.status == "completed" else w, command, now)

    def also(w: Workflow, event: Event) -> bool:
        return isinstance(event, e.WorkflowCancelled) or allows(w, event)

    return [(decide, "_cancelled", always), (evolve, "allows", also)]


@bug("I1")
def poison_takes_its_neighbours_with_it() -> Iterable[tuple[Any, str, Any]]:
    handle = route.Router.handle

    async def coarse(self: route.Router, messages: Sequence[Any]) -> Sequence[Any]:
        verdicts = await handle(self, messages)
        worst = next((verdict for verdict in verdicts if verdict.kind == "dead"), None)
        return [worst] * len(messages) if worst else verdicts

    return [(route.Router, "handle", coarse)]


@bug("I2")
def an_attempt_is_opened_after_it_was_invoked() -> Iterable[tuple[Any, str, Any]]:
    return [(attempt.Attempts, "start", _invoked_first)]


async def _invoked_first(self: attempt.Attempts, workflow_id: str, command_id: str) -> None:
    row = await self._journal.get(workflow_id)
    if row is not None:
        ahead = replace(row.workflow, epoch=row.workflow.epoch + 1)
        await self.call(ahead, command_id)
        await self._journal.record(workflow_id, lambda w, _: (self._opening(w, 1, command_id),), settles=[command_id])


@bug("I8")
def sessions_are_never_stopped() -> Iterable[tuple[Any, str, Any]]:
    async def nothing(*_: Any) -> None:
        return None

    return [(sessions, "stop", nothing), (dispatch.sessions, "stop", nothing)]


@bug("I9")
def deadlines_are_ignored() -> Iterable[tuple[Any, str, Any]]:
    return [(timers, "due", lambda w, now: ())]
