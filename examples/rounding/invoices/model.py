"""What an invoice consists of."""

import json
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path

from .money import parse

HUNDRED = Decimal(100)


@dataclass(frozen=True)
class Line:
    """``tax`` and ``discount`` are percentages. A negative quantity takes something back."""

    text: str
    quantity: Decimal
    price: Decimal
    tax: Decimal
    discount: Decimal = Decimal(0)

    @property
    def net(self) -> Decimal:
        """Before tax, after the discount, not yet rounded."""
        return self.quantity * self.price * (HUNDRED - self.discount) / HUNDRED


@dataclass(frozen=True)
class Invoice:
    number: str
    customer: str
    lines: tuple[Line, ...]


def load(path: Path) -> Invoice:
    """Reads an invoice from a JSON file. Raises ``ValueError`` naming what is wrong."""
    data = json.loads(path.read_text(encoding="utf-8"))
    try:
        lines = tuple(
            Line(
                text=line["text"],
                quantity=parse(line["quantity"]),
                price=parse(line["price"]),
                tax=parse(line["tax"]),
                discount=parse(line.get("discount", "0")),
            )
            for line in data["lines"]
        )
        return Invoice(number=data["number"], customer=data["customer"], lines=lines)
    except KeyError as missing:
        raise ValueError(f"{path.name} has no {missing}") from None
