"""What was learnt about repositories."""

from collections.abc import Sequence
from datetime import datetime

from msgspec.structs import asdict

from ...domain.lessons import MOST, KeptLesson, Learnt, plain
from .tables import Tables


def learn(tables: Tables, now: datetime, learnt: Sequence[Learnt]) -> None:
    for one in learnt:
        tables.lessons[one.id] = KeptLesson(**asdict(one), learnt_at=now)
        for old in read(tables, one.team, one.repository)[MOST:]:
            del tables.lessons[old.id]


def read(tables: Tables, team: str, repository: str) -> list[KeptLesson]:
    """Newest first."""
    wanted = repository and plain(repository)
    found = [one for one in tables.lessons.values() if one.team == team and wanted in ("", one.repository)]
    return sorted(sorted(found, key=lambda one: one.id), key=lambda one: one.learnt_at, reverse=True)


def forget(tables: Tables, team: str, ids: Sequence[str]) -> list[KeptLesson]:
    there = [tables.lessons[id_] for id_ in ids if id_ in tables.lessons and tables.lessons[id_].team == team]
    for one in there:
        del tables.lessons[one.id]
    return there
