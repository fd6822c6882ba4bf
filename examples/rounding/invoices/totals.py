"""Sums: net, tax by rate, and what is to be paid."""

from collections import defaultdict
from dataclasses import dataclass
from decimal import Decimal

from .model import HUNDRED, Invoice
from .money import round_cents


@dataclass(frozen=True)
class Totals:
    """``tax`` maps each rate, in percent, to its amount. All amounts are whole cents."""

    net: Decimal
    tax: dict[Decimal, Decimal]
    gross: Decimal


def totals(invoice: Invoice) -> Totals:
    """Each line is rounded, then summed by rate; tax is computed once for each rate."""
    by_rate: dict[Decimal, Decimal] = defaultdict(Decimal)
    for line in invoice.lines:
        by_rate[line.tax] += round_cents(line.net)
    tax = {rate: round_cents(net * rate / HUNDRED) for rate, net in sorted(by_rate.items())}
    net = sum(by_rate.values(), Decimal(0))
    return Totals(net=net, tax=tax, gross=net + sum(tax.values(), Decimal(0)))
