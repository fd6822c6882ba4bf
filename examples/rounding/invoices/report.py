"""An invoice as plain text."""

from .model import Invoice, Line
from .money import show
from .totals import totals

WIDTH = 48


def report(invoice: Invoice) -> str:
    sums = totals(invoice)
    rows = [f"Invoice {invoice.number}", invoice.customer, "-" * WIDTH]
    rows += [_row(_label(line), f"{round(float(line.net), 2):,.2f}") for line in invoice.lines]
    rows.append("-" * WIDTH)
    rows.append(_row("Net", show(sums.net)))
    rows += [_row(f"Tax {rate.normalize():f} %", show(amount)) for rate, amount in sums.tax.items()]
    rows.append(_row("To pay", show(sums.gross)))
    return "\n".join(rows) + "\n"


def _label(line: Line) -> str:
    discount = f" (-{line.discount.normalize():f} %)" if line.discount else ""
    return f"{line.quantity.normalize():f} x {line.text}{discount}"


def _row(label: str, amount: str) -> str:
    return f"{label[: WIDTH - len(amount) - 1]:<{WIDTH - len(amount)}}{amount}"
