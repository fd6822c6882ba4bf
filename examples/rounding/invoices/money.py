"""Amounts of money: decimals with two places."""

from decimal import Decimal, InvalidOperation

CENT = Decimal("0.01")


def parse(text: str) -> Decimal:
    """Raises ``ValueError`` when the text is not a finite number."""
    try:
        amount = Decimal(text.strip())
    except InvalidOperation:
        raise ValueError(f"not an amount: {text!r}") from None
    if not amount.is_finite():
        raise ValueError(f"not an amount: {text!r}")
    return amount


def round_cents(amount: Decimal) -> Decimal:
    """Rounds to whole cents."""
    return amount.quantize(CENT)


def show(amount: Decimal) -> str:
    """With two places, and a thin separator for thousands: 1,234.50."""
    return f"{round_cents(amount):,.2f}"
