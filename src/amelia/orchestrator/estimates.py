"""What will be spent, as far as it can be told beforehand."""

from collections.abc import Iterable

from ..contract.plan import Plan
from ..contract.workflow import Money
from ..drivers.base import Request, Usage
from ..drivers.prices import PriceList
from .agents.trim import size

CHARACTERS_A_TOKEN = 4
FIRST_OUTPUT = 500
"""Tokens of an answer, before there is one to go by."""
TURNS_A_MINUTE = 2
FEWEST_TURNS = 5
USUAL_MINUTES = 5
"""Of a task whose plan does not say how long it takes."""


def next_call(request: Request, usage: Usage, turns: int, prices: PriceList) -> Money:
    """One call: what is sent, by its length, at the mean price of what this conversation has sent so far (a cache makes
    it cheaper); the answer, as long as the mean of those so far."""
    characters = len(request.system) + sum(size(message) for message in request.messages)
    characters += sum(len(tool.description) + len(repr(tool.parameters)) for tool in request.tools)
    sent = Usage(input_tokens=characters // CHARACTERS_A_TOKEN + 1)
    answered = Usage(output_tokens=usage.output_tokens // turns if turns else FIRST_OUTPUT)
    before = Usage(
        input_tokens=usage.input_tokens,
        cache_read_tokens=usage.cache_read_tokens,
        cache_write_tokens=usage.cache_write_tokens,
    )
    tokens = before.input_tokens + before.cache_read_tokens + before.cache_write_tokens
    model = request.model
    price = prices.cost(model, before) * sent.input_tokens // tokens if tokens else prices.cost(model, sent)
    return Money(
        input_tokens=sent.input_tokens,
        output_tokens=answered.output_tokens,
        cost_microdollars=price + prices.cost(model, answered),
    )


def dearest(models: Iterable[str], usage: Usage, prices: PriceList) -> int:
    """Micro-dollars for ``usage`` by whichever of the models asks most for it."""
    return max((prices.cost(model, usage) for model in models), default=0)


def carrying_out(plan: Plan, turns: int, developer: int, reviewer: int, reviewers: int = 1) -> int:
    """Micro-dollars for all that follows the approval, where planning took ``turns`` and would have cost ``developer``
    and ``reviewer`` by these agents' own models.

    A turn of theirs uses what one of the Architect did, on the same repository; a task takes two for each minute its
    plan gives it, and at least five; each reviewer takes as many as planning did. Rounds of review that send the work
    back are not foreseen.
    """
    if not turns:
        return 0
    minutes = (task.estimate_minutes or USUAL_MINUTES for task in plan.tasks)
    working = sum(max(FEWEST_TURNS, TURNS_A_MINUTE * each) for each in minutes)
    return developer * working // turns + reviewer * reviewers
