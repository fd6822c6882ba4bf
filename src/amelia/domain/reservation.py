"""How much of an owner's month is set aside for one workflow."""

from collections.abc import Callable
from datetime import UTC, datetime

import msgspec

from ..contract.workflow import Budget, Left


class Wait(msgspec.Struct, frozen=True, kw_only=True):
    """Nothing can be set aside now. ``until`` is UTC, ISO 8601: nor can it before; empty when that is not known."""

    reason: str
    until: str = ""


class Purse(msgspec.Struct, frozen=True, kw_only=True):
    """An owner's ``month``, what is ``spent`` of it, and what is ``reserved`` for what runs and not spent yet."""

    owner: str
    month: Budget
    spent: Budget
    reserved: Budget


def reserve(need: Left, purse: Purse, now: str) -> Budget | Wait:
    """``need`` when that much is left of the month. Otherwise what is left, once nothing of it is set aside for others
    of the same owner, who may leave some. Nothing without a monthly budget."""
    month, spent, reserved = purse.month, purse.spent, purse.reserved
    money = _share(need.microdollars, month.microdollars, spent.microdollars, reserved.microdollars)
    if isinstance(money, _Short):
        return _wait(purse.owner, money, month.microdollars, dollars, now)
    tokens = _share(need.tokens, month.tokens, spent.tokens, reserved.tokens)
    if isinstance(tokens, _Short):
        return _wait(purse.owner, tokens, month.tokens, _tokens, now)
    return Budget(microdollars=money, tokens=tokens)


class _Short(msgspec.Struct, frozen=True):
    left: int
    reserved: int


def _share(need: int | None, month: int, spent: int, reserved: int) -> int | _Short:
    if not month:
        return 0
    left = month - spent - reserved
    if need is not None and need <= left:
        return need
    return left if left > 0 and not reserved else _Short(max(left, 0), reserved)


def _wait(owner: str, short: _Short, month: int, said: Callable[[int], str], now: str) -> Wait:
    moment = datetime.fromisoformat(now).astimezone(UTC)
    named = f"{owner or 'nobody'} has {said(short.left)} left of {said(month)} for {moment:%B}"
    if short.reserved:
        return Wait(reason=f"{named}, beside {said(short.reserved)} reserved for what is in progress")
    following = moment.replace(year=moment.year + moment.month // 12, month=moment.month % 12 + 1, day=1)
    begins = following.replace(hour=0, minute=0, second=0, microsecond=0)
    until = begins.isoformat(timespec="milliseconds").replace("+00:00", "Z")
    return Wait(reason=f"{named}; waits for {begins:%B}", until=until)


def dollars(microdollars: int) -> str:
    """Rounded down, so that what is left is never said to be more."""
    return f"${microdollars // 1_000_000:,}.{microdollars // 10_000 % 100:02}"


def _tokens(tokens: int) -> str:
    return f"{tokens:,} tokens"
