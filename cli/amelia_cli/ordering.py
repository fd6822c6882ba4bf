"""Tasks that were worked at once end in the order in which they once ended: each then begins where it once began."""

import asyncio
from collections.abc import AsyncIterator, Mapping, Sequence
from typing import TYPE_CHECKING

from amelia.contract import events as e
from amelia.contract.workflow import Profile
from amelia.drivers.base import Driver, Label, Request, TextDelta, Turn
from amelia.drivers.cast import Cast, Choice

from .model import Model
from .views import Silent, View

if TYPE_CHECKING:
    from amelia.contract.events import AnyEvent


_ORDERED = "developer"
_PATIENCE = 300.0
"""Seconds without news after which a conversation waits no more for one that may never end."""


def name_of(agent: str, task: str, round: int) -> str:  # noqa: A002 - the label's own word
    return "-".join(filter(None, (agent, task, str(round))))


class Order:
    """``finished`` names conversations in the order in which they ended, ``turns`` how many each had. Only those of
    Developers wait for each other: reviewers that judge at once end as one."""

    def __init__(self, finished: Sequence[str], turns: Mapping[str, int]) -> None:
        self._place = {name: place for place, name in enumerate(finished)}
        self._turns = dict(turns)
        self._under_way: set[str] = set()
        self._waiting: list[asyncio.Future[None]] = []

    def hear(self, event: "AnyEvent") -> None:
        match event:
            case e.AgentStarted():
                self._under_way.add(name_of(event.agent, event.task_id, event.round))
            case e.AgentCompleted():
                self._under_way.discard(name_of(event.agent, event.task_id, event.round))
            case e.AttemptOpened() | e.RuntimeLost():
                self._under_way.clear()
            case _:
                return
        waiting, self._waiting = self._waiting, []
        for one in waiting:
            if not one.done():
                one.set_result(None)

    async def its_turn(self, label: Label, turn: int) -> None:
        """Before its last turn a conversation waits for those under way that once ended before it."""
        name = name_of(label.agent, label.task, label.round)
        if label.agent != _ORDERED or turn < self._turns.get(name, 0) or name not in self._place:
            return
        while any(self._place.get(other, len(self._place)) < self._place[name] for other in self._under_way):
            one = asyncio.get_running_loop().create_future()
            self._waiting.append(one)
            heard, _ = await asyncio.wait([one], timeout=_PATIENCE)
            if not heard:
                return


class Listening(Silent):
    """Shows what it is given, and lets the order hear of it."""

    def __init__(self, shown: View, order: Order) -> None:
        self._shown, self._order = shown, order

    def __enter__(self) -> View:
        self._shown.__enter__()
        return self

    def __exit__(self, *how: object) -> None:
        self._shown.__exit__(None, None, None)

    def show(self, sequence: int, event: "AnyEvent") -> None:
        self._shown.show(sequence, event)
        self._order.hear(event)


class InOrder:
    """A driver that lets the order say when a conversation may have its last answer."""

    def __init__(self, driver: Driver, order: Order) -> None:
        self.name = driver.name
        self._driver, self._order = driver, order

    async def stream(self, request: Request) -> AsyncIterator[TextDelta | Turn]:
        answers = sum(message.role == "assistant" for message in request.messages)
        await self._order.its_turn(request.label, request.label.turn or answers + 1)
        async for piece in self._driver.stream(request):
            yield piece

    async def aclose(self) -> None:
        await self._driver.aclose()


class OrderedCast(Cast):
    def __init__(self, cast: Cast, order: Order) -> None:
        self._cast, self._order = cast, order

    def of(self, agent: str) -> tuple[Choice, ...]:
        return tuple(Choice(InOrder(choice.driver, self._order), choice.model) for choice in self._cast.of(agent))

    @property
    def models(self) -> tuple[str, ...]:
        return self._cast.models

    async def aclose(self) -> None:
        await self._cast.aclose()


class Ordered(Model, frozen=True, kw_only=True):
    order: Order

    def cast(self, profile: Profile) -> Cast:
        return OrderedCast(super().cast(profile), self.order)
