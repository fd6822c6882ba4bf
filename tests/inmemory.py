"""Queue, bus, runtimes and keys in memory, for what is tested above them: they lose, repeat and refuse to order."""

import asyncio
from collections.abc import Callable, Sequence
from itertools import count
from typing import Literal

import msgspec

from amelia.contract.invocation import Accepted, Invocation
from amelia.errors import AmeliaError, Refused
from amelia.ports.forge import PullRequest
from amelia.ports.queues import Announcement, Message, Sending


class FixedKeys:
    """Master secrets, the current one first."""

    def __init__(self, *masters: bytes) -> None:
        self._masters = masters

    async def current(self) -> tuple[int, bytes]:
        return len(self._masters), self._masters[0]

    async def all(self) -> Sequence[bytes]:
        return self._masters

    async def refresh(self) -> bool:
        return False


class MemoryQueue:
    """Received messages stay out until they are settled or ``return_all`` brings them back.

    A deduplication id is delivered once, as FIFO does it. ``loses`` throws away what is sent; ``fails`` is raised by
    the operation it is kept under, until it is taken away.
    """

    def __init__(self) -> None:
        self.ready: list[Message] = []
        self.out: dict[str, Message] = {}
        self.sent: list[Sending] = []
        self.done: list[Message] = []
        self.dead: list[tuple[Message, str]] = []
        self.fails: dict[str, AmeliaError] = {}
        self.loses = False
        self.receives = self.holds = 0
        self._seen: set[str] = set()
        self._arrived = asyncio.Event()
        self._numbers = count(1)

    def put(self, *bodies: str, group: str = "") -> None:
        for body in bodies:
            number = str(next(self._numbers))
            self.ready.append(Message(id=number, body=body, receipt=number, group=group, receives=0))
        self._arrived.set()

    def return_all(self) -> None:
        self.ready += self.out.values()
        self.out.clear()
        self._arrived.set()

    async def receive(self, *, most: int, wait_seconds: int) -> list[Message]:
        self._raise("receive")
        self.receives += 1
        if not self.ready:
            self._arrived.clear()
            try:
                await asyncio.wait_for(self._arrived.wait(), wait_seconds)
            except TimeoutError:
                return []
        taken, self.ready = self.ready[:most], self.ready[most:]
        again = [msgspec.structs.replace(m, receives=m.receives + 1) for m in taken]
        self.out.update({m.receipt: m for m in again})
        return again

    async def acknowledge(self, messages: Sequence[Message]) -> None:
        self._raise("acknowledge")
        for message in messages:
            self.out.pop(message.receipt, None)
            self.done.append(message)

    async def release(self, messages: Sequence[Message], after_seconds: int) -> None:
        self._raise("release")
        self.ready += [self.out.pop(message.receipt) for message in messages]
        self._arrived.set()

    async def hold(self, messages: Sequence[Message]) -> None:
        self.holds += 1

    async def send(self, sendings: Sequence[Sending]) -> None:
        self._raise("send")
        for sending in sendings:
            self.sent.append(sending)
            if not self.loses and sending.deduplication not in self._seen:
                self._seen.add(sending.deduplication)
                self.put(sending.body, group=sending.group)

    async def dead_letter(self, message: Message, reason: str) -> None:
        self._raise("dead_letter")
        self.dead.append((message, reason))
        self.out.pop(message.receipt, None)

    def _raise(self, operation: str) -> None:
        if operation in self.fails:
            raise self.fails[operation]


class MemoryBus:
    def __init__(self) -> None:
        self.published: list[Announcement] = []
        self.fails: AmeliaError | None = None
        self.refuses: Callable[[Announcement], AmeliaError | None] = lambda _: None

    async def publish(self, messages: Sequence[Announcement]) -> None:
        if self.fails is not None:
            raise self.fails
        for message in messages:
            if (refusal := self.refuses(message)) is not None:
                raise refusal
        self.published += messages


class MemoryRuntimes:
    """Answers each invocation with the next of ``answers`` (an error is raised), then with an acceptance. Who is only
    ``asked`` says that it works when it is among the ``alive``."""

    def __init__(self) -> None:
        self.invocations: list[Invocation] = []
        self.asked: list[Invocation] = []
        self.alive: set[str] = set()
        self.stopped: list[str] = []
        self.answers: list[Exception | bytes] = []
        self.stop_fails: AmeliaError | None = None
        self.may_stop = asyncio.Event()
        self.may_stop.set()
        self.may_answer = asyncio.Event()
        self.may_answer.set()
        self.stopping = asyncio.Event()

    async def invoke(self, session_id: str, payload: bytes) -> bytes:
        invocation = msgspec.json.decode(payload, type=Invocation)
        assert invocation.workflow_id == session_id
        if invocation.purpose == "ask":
            self.asked.append(invocation)
            outcome: Literal["duplicate", "idle"] = "duplicate" if session_id in self.alive else "idle"
            return msgspec.json.encode(Accepted(outcome=outcome, epoch=invocation.epoch))
        self.invocations.append(invocation)
        await self.may_answer.wait()
        if self.answers:
            answer = self.answers.pop(0)
            if isinstance(answer, Exception):
                raise answer
            return answer
        return msgspec.json.encode(Accepted(outcome="accepted", epoch=invocation.epoch))

    async def stop(self, session_id: str) -> bool:
        self.stopping.set()
        await self.may_stop.wait()
        if self.stop_fails is not None:
            raise self.stop_fails
        self.stopped.append(session_id)
        return True


class NoForge:
    """Implements ``ports.forge.Forge`` and ``Credentials`` where there is neither."""

    def serves(self, repository: str) -> bool:
        return False

    async def open_pull_request(
        self, repository: str, *, branch: str, base: str, title: str, body: str, draft: bool, workflow_id: str
    ) -> PullRequest:
        raise Refused(f"no forge serves {repository}")

    async def write(self, repository: str) -> str:
        return ""

    async def read(self, repository: str) -> str:
        return ""
