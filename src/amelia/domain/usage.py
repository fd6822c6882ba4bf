"""What was spent on what: folded from what attempts have told."""

from collections.abc import Iterable, Mapping

import msgspec

from ..contract.events import Share, TokensUsed
from ..contract.views import UsageView
from ..contract.workflow import Money
from .workflow import total

Whose = tuple[str, str, str]
"""Agent, task, model."""
Shares = Mapping[Whose, Money]


def plus(one: Money, other: Money) -> Money:
    return Money(**{name: getattr(one, name) + getattr(other, name) for name in Money.__struct_fields__})


def larger(one: Money, other: Money) -> Money:
    """Sums that grow can be told twice, late or in any order: the larger one is the newer one."""
    return Money(**{name: max(getattr(one, name), getattr(other, name)) for name in Money.__struct_fields__})


def shares_of(shares: Iterable[Share]) -> dict[Whose, Money]:
    return {(share.agent, share.task_id, share.model): share.used for share in shares}


def as_shares(shares: Shares) -> tuple[Share, ...]:
    return tuple(Share(agent=a, task_id=t, model=m, used=used) for (a, t, m), used in sorted(shares.items()))


def highest_shares(one: Shares, other: Shares) -> dict[Whose, Money]:
    return {whose: larger(one.get(whose, Money()), other.get(whose, Money())) for whose in {**one, **other}}


def usage_view(workflow_id: str, spent: Mapping[int, Money], told: Iterable[TokensUsed]) -> UsageView:
    """``spent`` is by attempt, and at least what was ``told``."""
    by_attempt: dict[int, Shares] = {}
    for event in told:
        attempt = event.of_attempt or event.attempt
        by_attempt[attempt] = highest_shares(by_attempt.get(attempt, {}), shares_of(event.shares))
    shares: dict[Whose, Money] = {}
    for of_attempt in by_attempt.values():
        _add(shares, of_attempt.items())
    everything = total(dict(spent))
    nobodys = _rest(everything, total(dict(enumerate(shares.values()))))
    if nobodys != Money():
        shares["", "", ""] = nobodys
    return UsageView(
        workflow_id=workflow_id,
        spent=everything,
        attempts=dict(spent),
        agents=_by(shares, 0),
        tasks=_by(shares, 1),
        models=_by(shares, 2),
        shares=as_shares(shares),
    )


def _add(sums: dict[Whose, Money], more: Iterable[tuple[Whose, Money]]) -> None:
    for whose, used in more:
        sums[whose] = plus(sums.get(whose, Money()), used)


def _by(shares: Shares, part: int) -> dict[str, Money]:
    sums: dict[str, Money] = {}
    for whose, used in sorted(shares.items()):
        sums[whose[part]] = plus(sums.get(whose[part], Money()), used)
    return sums


def _rest(all_: Money, known: Money) -> Money:
    left = {name: max(0, getattr(all_, name) - getattr(known, name)) for name in Money.__struct_fields__}
    return msgspec.convert(left, Money)
