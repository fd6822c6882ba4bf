"""What a benchmark found, and the one table it is printed in."""

from collections.abc import Sequence
from statistics import median, quantiles

import msgspec


class Reading(msgspec.Struct, frozen=True, kw_only=True):
    """``beside`` is the same kind of number of ``what``, taken in the same run: the ratio says more than either.

    ``ratio`` is given where it is not simply the one number over the other.
    """

    measure: str
    value: float
    unit: str
    what: str = ""
    beside: float | None = None
    ratio: float | None = None
    built_for: str = ""


_HEAD = ("measure", "here", "", "beside it", "", "ratio", "built for")


def table(readings: Sequence[Reading]) -> str:
    rows = [_HEAD, *map(_row, readings)]
    widths = [max(len(row[column]) for row in rows) for column in range(len(_HEAD))]
    right = {1, 3, 5}
    lines = [
        "  ".join(c.rjust(w) if i in right else c.ljust(w) for i, (c, w) in enumerate(zip(row, widths, strict=True)))
        for row in rows
    ]
    return "\n".join(line.rstrip() for line in [lines[0], "  ".join("-" * w for w in widths), *lines[1:]])


def _row(r: Reading) -> tuple[str, ...]:
    ratio = r.ratio if r.ratio is not None else r.value / r.beside if r.beside else None
    beside = "" if r.beside is None else _number(r.beside)
    return r.measure, _number(r.value), r.unit, beside, r.what, "" if ratio is None else f"{ratio:.2f}", r.built_for


def _number(value: float) -> str:
    return f"{value:,.0f}" if value >= 100 else f"{value:,.1f}" if value >= 10 else f"{value:,.2f}"


def middle(values: Sequence[float]) -> float:
    return median(values)


def p99(values: Sequence[float]) -> float:
    return quantiles(values, n=100, method="inclusive")[98]
