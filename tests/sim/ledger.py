"""What happened outside the system, noted where it happened: models asked, branches moved, requests opened."""

from collections import Counter

import msgspec

from amelia.contract.workflow import Money
from amelia.domain.usage import plus

PRICE = Money(input_tokens=100, output_tokens=10, cost_microdollars=1_000)
"""Of one turn of a model: each costs the same."""


class Pushed(msgspec.Struct, frozen=True, kw_only=True):
    at: float
    workflow_id: str
    branch: str
    commit: str
    plan_sha256: str
    began: float


class Ledger:
    """``spent`` is what models were really paid; ``pushes`` are changes of a branch, not looks at it; ``withdrawn``
    counts how often a commit was taken back, ``goes`` how often somebody began to work, from the newest checkpoint."""

    def __init__(self) -> None:
        self.goes: dict[str, int] = {}
        self.spent: dict[str, Money] = {}
        self.pushes: list[Pushed] = []
        self.withdrawn: Counter[str] = Counter()

    def begins(self, workflow_id: str) -> None:
        self.goes[workflow_id] = self.goes.get(workflow_id, 0) + 1

    def turn(self, workflow_id: str) -> None:
        self.spent[workflow_id] = plus(self.spent.get(workflow_id, Money()), PRICE)
