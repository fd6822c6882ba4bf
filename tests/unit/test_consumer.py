"""The receive loop over a queue in memory."""

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from functools import partial

import pytest

from amelia import consumer
from amelia.consumer import DONE, Consumer, Handler, Verdict
from amelia.errors import Malformed, Refused, Unavailable
from amelia.ports.queues import Message

from ..inmemory import MemoryQueue
from ..samples import eventually


@pytest.fixture(autouse=True)
def impatience(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(consumer, "_POLL_SECONDS", 0.1)
    monkeypatch.setattr(consumer, "_HOLD_SECONDS", 0.05)


@asynccontextmanager
async def consuming(
    queue: MemoryQueue,
    handle: Handler,
    *,
    in_flight: int = 1,
    drained: Callable[[float], Awaitable[None]] | None = None,
) -> AsyncIterator[asyncio.Event]:
    stop = asyncio.Event()
    loops = Consumer(queue, handle, in_flight=in_flight, max_receives=3, drained=drained, tell_seconds=0.05)
    task = asyncio.create_task(loops.run(stop))
    try:
        yield stop
        stop.set()
        await asyncio.wait_for(task, 10)
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


class Handling:
    """Notes the bodies it is given; raises what ``fails`` holds for one of them."""

    def __init__(self) -> None:
        self.handled: list[str] = []
        self.calls = 0
        self.fails: dict[str, Exception] = {}

    async def __call__(self, messages: Sequence[Message]) -> Sequence[Verdict]:
        self.calls += 1
        for message in messages:
            if message.body in self.fails:
                raise self.fails[message.body]
        self.handled += [message.body for message in messages]
        return [DONE] * len(messages)


async def until(condition: Callable[[], object], what: str) -> None:
    async def holds() -> object:
        return condition()

    await eventually(holds, what)


async def test_what_is_handled_is_acknowledged_and_never_comes_again() -> None:
    queue, handling = MemoryQueue(), Handling()
    queue.put(*(str(i) for i in range(25)))
    async with consuming(queue, handling, in_flight=4):
        await until(lambda: len(queue.done) == 25, "all are acknowledged")
    assert sorted(handling.handled, key=int) == [str(i) for i in range(25)]
    assert queue.out == {}


async def test_while_the_world_is_away_the_same_messages_are_held_and_no_more_received() -> None:
    queue, handling = MemoryQueue(), Handling()
    queue.put(*(str(i) for i in range(30)))
    handling.fails["3"] = Unavailable("the database is away")
    async with consuming(queue, handling):
        await until(lambda: handling.calls >= 3, "it was tried again")
        assert queue.receives == 1
        assert queue.done == []
        handling.fails.clear()
        await until(lambda: len(queue.done) == 30, "all are acknowledged")
    assert all(message.receives == 1 for message in queue.done)
    assert queue.dead == []


async def test_a_poison_goes_alone_to_the_dead_letters_after_its_receives() -> None:
    queue, handling = MemoryQueue(), Handling()
    queue.put("a", "poison", "b")
    handling.fails["poison"] = KeyError("a bug")
    async with consuming(queue, handling):
        await until(lambda: queue.dead, "the poison is dead")
    [(message, reason)] = queue.dead
    assert (message.body, message.receives, reason) == ("poison", 3, "KeyError: 'a bug'")
    assert sorted({message.body for message in queue.done}) == ["a", "b", "poison"]


@pytest.mark.parametrize("error", [Malformed("no JSON"), Refused("not ours")])
async def test_what_can_never_be_handled_is_dead_at_once(error: Exception) -> None:
    queue, handling = MemoryQueue(), Handling()
    queue.put("poison")
    handling.fails["poison"] = error
    async with consuming(queue, handling):
        await until(lambda: queue.dead, "the poison is dead")
    assert queue.dead[0][0].receives == 1


@pytest.mark.parametrize("operation", ["acknowledge", "dead_letter", "release"])
async def test_a_settlement_that_fails_is_not_fatal(operation: str) -> None:
    async def handle(messages: Sequence[Message]) -> Sequence[Verdict]:
        kinds = {"acknowledge": "done", "dead_letter": "dead", "release": "again"}
        return [Verdict(kinds[operation] if m.receives == 1 else "done", "why") for m in messages]  # type: ignore[arg-type]

    queue = MemoryQueue()
    queue.fails[operation] = Unavailable("the queue is away")
    queue.put("a", "b")
    async with consuming(queue, handle):
        await until(lambda: len(queue.out) == 2, "they were received")
        await asyncio.sleep(0.05)
        queue.fails.clear()
        if operation != "dead_letter":
            queue.return_all()
        await until(lambda: len(queue.done) == 2, "they came again, or were kept, and were settled")


async def test_dead_letters_that_cannot_be_written_keep_nobody_from_being_acknowledged() -> None:
    async def handle(messages: Sequence[Message]) -> Sequence[Verdict]:
        return [Verdict("dead", "why") if m.body == "dead" else DONE for m in messages]

    queue = MemoryQueue()
    queue.fails["dead_letter"] = Unavailable("the queue is away")
    queue.put("dead", "good")
    async with consuming(queue, handle):
        await until(lambda: [m.body for m in queue.done] == ["good"], "the good one is acknowledged")
        assert [m.body for m in queue.out.values()] == ["dead"]
    assert [m.body for m in queue.ready] == ["dead"], "told to stop, it gives back what nobody keeps"


async def test_what_is_given_up_is_acknowledged_only_when_it_is_kept() -> None:
    kept: list[tuple[str, str]] = []
    fails: list[Exception] = [Unavailable("the database is away"), Unavailable("and still is")]

    async def bury(message: Message, reason: str) -> None:
        if fails:
            raise fails.pop()
        assert queue.done == []
        kept.append((message.body, reason))

    async def handle(messages: Sequence[Message]) -> Sequence[Verdict]:
        return [Verdict("dead", "no JSON")] * len(messages)

    queue, stop = MemoryQueue(), asyncio.Event()
    queue.put("poison")
    task = asyncio.create_task(Consumer(queue, handle, in_flight=1, max_receives=3, bury=bury).run(stop))
    await until(lambda: queue.done, "it is acknowledged")
    stop.set()
    await task
    assert kept == [("poison", "no JSON")]
    assert queue.dead == []


async def test_what_cannot_even_be_buried_stays_in_the_queue_and_blocks_nobody() -> None:
    async def bury(message: Message, reason: str) -> None:
        raise ValueError("a bug")

    async def handle(messages: Sequence[Message]) -> Sequence[Verdict]:
        return [Verdict("dead", "why") if m.body == "dead" else DONE for m in messages]

    queue, stop = MemoryQueue(), asyncio.Event()
    queue.put("dead", "good")
    task = asyncio.create_task(Consumer(queue, handle, in_flight=1, max_receives=3, bury=bury).run(stop))
    await until(lambda: queue.receives > 2, "it came again")
    stop.set()
    await task
    assert {m.body for m in queue.done} == {"good"}


async def test_what_is_held_while_the_world_is_away_is_kept_from_coming_again() -> None:
    queue, handling = MemoryQueue(), Handling()
    handling.fails["a"] = Unavailable("away")
    queue.put("a")
    async with consuming(queue, handling):
        await until(lambda: queue.holds >= 3, "it is held")
        assert queue.receives == 1
        handling.fails.clear()
        await until(lambda: queue.done, "it was handled in the end")
    assert queue.done[0].receives == 1


async def test_a_queue_that_does_not_answer_is_not_drained() -> None:
    class BlackHole(MemoryQueue):
        async def receive(self, *, most: int, wait_seconds: int) -> list[Message]:
            await asyncio.Event().wait()
            raise AssertionError

    said: list[float] = []
    async with consuming(BlackHole(), Handling(), in_flight=2, drained=partial(told, said)):
        await asyncio.sleep(0.4)
    assert said == []


class Stamped(MemoryQueue):
    """Full batches for ever, whose oldest message was sent ``age`` seconds ago by its clock, which is ``skew`` off."""

    def __init__(self, age: float, skew: float = 0) -> None:
        super().__init__()
        self.age, self.skew = age, skew

    async def receive(self, *, most: int, wait_seconds: int) -> list[Message]:
        await asyncio.sleep(0.01)
        sent = time.time() + self.skew - self.age
        return [Message(id=str(n), body="x", receipt=str(n), sent_at=sent + n / 1000) for n in range(most)]


@pytest.mark.parametrize("age", [0.5, 60])
async def test_a_backlog_is_as_old_as_what_comes_from_it(age: float) -> None:
    said: list[float] = []
    async with consuming(Stamped(age), Handling(), in_flight=2, drained=partial(told, said)):
        await until(lambda: len(said) > 2, "it was said")
    assert all(age <= ago < age + 20 for ago in said)


async def test_a_backlog_that_grows_is_noticed_although_this_host_s_clock_is_behind() -> None:
    said: list[float] = []
    queue = Stamped(0, skew=3600)
    async with consuming(queue, Handling(), in_flight=1, drained=partial(told, said)):
        await until(lambda: said, "it was said")
        queue.age = 500
        await until(lambda: said[-1] > 400, "the backlog is noticed")


async def test_a_queue_that_is_away_is_asked_again() -> None:
    queue, handling = MemoryQueue(), Handling()
    queue.fails["receive"] = Unavailable("the queue is away")
    queue.put("a")
    async with consuming(queue, handling):
        await asyncio.sleep(0.05)
        queue.fails.clear()
        await until(lambda: len(queue.done) == 1, "it was received in the end")


async def test_told_to_stop_it_settles_what_it_has_in_hand() -> None:
    queue, may_go = MemoryQueue(), asyncio.Event()

    async def handle(messages: Sequence[Message]) -> Sequence[Verdict]:
        await may_go.wait()
        return [DONE] * len(messages)

    queue.put("a", "b")
    async with consuming(queue, handle) as stop:
        await until(lambda: len(queue.out) == 2, "they are in hand")
        stop.set()
        await asyncio.sleep(0.05)
        may_go.set()
    assert [m.body for m in queue.done] == ["a", "b"]
    assert queue.receives == 1


async def test_told_to_stop_while_the_world_is_away_it_gives_back_what_it_holds() -> None:
    queue, handling = MemoryQueue(), Handling()
    handling.fails["a"] = Unavailable("away")
    queue.put("a")
    async with consuming(queue, handling) as stop:
        await until(lambda: handling.calls, "it was tried")
        stop.set()
    assert [m.body for m in queue.ready] == ["a"]


async def test_told_to_stop_it_does_not_wait_for_an_empty_queue() -> None:
    async with consuming(MemoryQueue(), Handling(), in_flight=3):
        await asyncio.sleep(0.05)


async def told(said: list[float], seconds_ago: float) -> None:
    said.append(seconds_ago)


async def test_what_came_while_it_held_on_to_messages_has_not_been_read() -> None:
    queue, handling = MemoryQueue(), Handling()
    said: list[float] = []
    handling.fails["a"] = Unavailable("away")
    queue.put("a")
    async with consuming(queue, handling, drained=partial(told, said)):
        await until(lambda: handling.calls >= 3, "it was held for longer than quiet takes")
        assert said == []
        handling.fails.clear()
        await until(lambda: said, "it was said")


async def test_what_another_loop_still_holds_has_not_been_read() -> None:
    queue, may_go = MemoryQueue(), asyncio.Event()
    said: list[float] = []

    async def handle(messages: Sequence[Message]) -> Sequence[Verdict]:
        if messages[0].body == "slow":
            await may_go.wait()
        return [DONE] * len(messages)

    async with consuming(queue, handle, in_flight=2, drained=partial(told, said)):
        queue.put("slow")
        await until(lambda: queue.out, "the slow one is in hand")
        await asyncio.sleep(0.3)
        assert said == []
        may_go.set()
        await until(lambda: said, "it was said")


async def test_a_busy_queue_is_drained_too_when_it_gives_less_than_was_asked_for() -> None:
    """Else no lease would ever run out in a fleet whose runtimes have a lot to say."""
    queue, handling = MemoryQueue(), Handling()
    said: list[float] = []

    async with consuming(queue, handling, in_flight=2, drained=partial(told, said)) as stop:
        while not said:
            queue.put("something", "and more")
            await asyncio.sleep(0.02)
        stop.set()
    assert said[0] < 1


async def test_a_queue_that_gives_full_batches_is_not_drained() -> None:
    queue = MemoryQueue()
    said: list[float] = []

    async def handle(messages: Sequence[Message]) -> Sequence[Verdict]:
        queue.put(*("x" for _ in messages))
        await asyncio.sleep(0.02)
        return [DONE] * len(messages)

    queue.put(*("x" for _ in range(40)))
    async with consuming(queue, handle, in_flight=2, drained=partial(told, said)) as stop:
        await until(lambda: len(queue.done) > 300, "it worked for longer than quiet takes")
        stop.set()
    assert said == []
