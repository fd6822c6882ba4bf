"""Who has spent what, and what may be spent: every attempt of a workflow has a sum of its own that only grows."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from functools import reduce

from ..contract.events import Share
from ..contract.workflow import Budget, Left, Money
from ..domain.usage import Whose, as_shares, highest_shares, larger, plus, shares_of
from ..domain.workflow import total

Spent = Mapping[int, Money]
"""By attempt; each sum is the most that is known of it."""
SharesOf = Mapping[int, tuple[Share, ...]]
"""By attempt, whose the sums were as far as it is known."""


def highest(one: Spent, other: Spent) -> dict[int, Money]:
    """Sums that grow can be told twice, late or in any order: the larger one is the newer one."""
    return {epoch: larger(one.get(epoch, Money()), other.get(epoch, Money())) for epoch in sorted({*one, *other})}


class Account:
    """What is known to be spent, from the journal, the checkpoint, transcripts and the calls of attempt ``epoch``.

    ``left`` and ``spent`` are an invocation's: what may still be spent where so much was.
    """

    def __init__(self, epoch: int, left: Left | None = None, spent: Spent | None = None) -> None:
        self.epoch = epoch
        self._spent: dict[int, Money] = {}
        self._shares: dict[int, dict[Whose, Money]] = {}
        self._promised: list[Money] = []
        self.allow(left or Left(), spent or {})

    def allow(self, left: Left, spent: Spent) -> None:
        """What a later invocation says replaces what an earlier one allowed."""
        self.heard = dict(spent)
        self.learn(spent)
        known = total(self.heard)
        self._most = Left(
            microdollars=None if left.microdollars is None else max(0, left.microdollars + known.cost_microdollars),
            tokens=None if left.tokens is None else max(0, left.tokens + known.tokens),
        )

    def learn(self, spent: Spent, shares: SharesOf | None = None) -> None:
        self._spent = highest(self._spent, spent)
        for epoch, found in (shares or {}).items():
            self._shares[epoch] = highest_shares(self._shares.get(epoch, {}), shares_of(found))

    def pay(self, price: Money, whose: Whose = ("", "", "")) -> None:
        """At once when a model has answered."""
        self._spent[self.epoch] = plus(self.used, price)
        mine = self._shares.setdefault(self.epoch, {})
        mine[whose] = plus(mine.get(whose, Money()), price)

    def shares(self, epoch: int) -> tuple[Share, ...]:
        return as_shares({whose: used for whose, used in self._shares.get(epoch, {}).items() if any(whose)})

    @property
    def all_shares(self) -> dict[int, tuple[Share, ...]]:
        return {epoch: self.shares(epoch) for epoch in self._shares}

    @property
    def spent(self) -> dict[int, Money]:
        return dict(self._spent)

    @property
    def used(self) -> Money:
        """By this attempt."""
        return self._spent.get(self.epoch, Money())

    @property
    def all(self) -> Money:
        return total(self._spent)

    @property
    def budget(self) -> Budget:
        """What may be spent in all."""
        return Budget(microdollars=self._most.microdollars or 0, tokens=self._most.tokens or 0)

    @contextmanager
    def promised(self, price: Money) -> Iterator[None]:
        """While a call is under way nobody beside it can spend what it will probably cost."""
        self._promised.append(price)
        try:
            yield
        finally:
            self._promised.remove(price)

    def has_room_for(self, price: Money) -> bool:
        after = reduce(plus, self._promised, plus(self.all, price))
        dollars, tokens = self._most.microdollars, self._most.tokens
        return (dollars is None or after.cost_microdollars <= dollars) and (tokens is None or after.tokens <= tokens)

    def unsaid(self, said: Spent) -> dict[int, Money]:
        """Sums of earlier attempts that neither the journal knows nor ``said`` holds."""
        known = highest(self.heard, said)
        now = highest(known, self._spent)
        return {epoch: sum_ for epoch, sum_ in now.items() if epoch != self.epoch and sum_ != known.get(epoch)}
