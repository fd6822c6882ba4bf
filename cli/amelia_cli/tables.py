"""Tables whose rows stay lines on a terminal that is narrow."""

import sys
from collections.abc import Iterator, Sequence

import click

from .edge import columns
from .printing import cells

_SHORTEST_ID = 11
_SHORTEST = 4


def table(head: Sequence[str], rows: Sequence[Sequence[str]], *, flexible: Sequence[str]) -> Iterator[str]:
    """As ``cells``. Where a terminal is too narrow, those in the column ID are cut as short as they stay unique,
    then what is in the ``flexible`` ones, whose cells are without colour. Elsewhere all of it is printed."""
    widths = _widths(head, rows)
    if sys.stdout.isatty() and _whole(widths) > (room := columns()):
        at = head.index("ID")
        ids = _shortened([row[at] for row in rows])
        rows = [(*row[:at], id_, *row[at + 1 :]) for id_, row in zip(ids, rows, strict=True)]
        widths = _widths(head, rows)
        places = [head.index(name) for name in flexible]
        while _whole(widths) > room and max(widths[place] for place in places) > _SHORTEST:
            widths[max(places, key=lambda place: widths[place])] -= 1
        head, *rows = (_cut(row, widths, places) for row in (head, *rows))
    yield from cells(head, rows)


def _widths(head: Sequence[str], rows: Sequence[Sequence[str]]) -> list[int]:
    return [max(len(click.unstyle(row[place])) for row in (head, *rows)) for place in range(len(head))]


def _whole(widths: Sequence[int]) -> int:
    return sum(widths) + 2 * (len(widths) - 1)


def _shortened(ids: Sequence[str]) -> list[str]:
    length = _SHORTEST_ID
    while len({id_[:length] for id_ in ids}) < len(set(ids)):
        length += 1
    return [id_[:length] for id_ in ids]


def _cut(row: Sequence[str], widths: Sequence[int], places: Sequence[int]) -> list[str]:
    return [
        cell[: width - 1] + "…" if place in places and len(cell) > width else cell
        for place, (cell, width) in enumerate(zip(row, widths, strict=True))
    ]
