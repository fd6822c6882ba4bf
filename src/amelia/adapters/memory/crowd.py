"""Who waits and who runs."""

from collections import Counter
from datetime import datetime, timedelta

from ...contract.workflow import Budget
from ...domain.crowd import Crowd, Limits, Owner, Quarantine, Running, Waiting
from ...domain.place import allowance, paths
from ...domain.workflow import total
from .answers import timestamp
from .tables import Record, Tables

_LATEST = 50


def read(tables: Tables, now: datetime, most: int, limits: Limits, *, runnable: bool, of: str) -> Crowd:
    """See ``ports.journal.Journal.crowd``."""
    holding = [record for record in tables.workflows.values() if record.holds_place]
    quarantine = _quarantine(tables, now, limits)
    ranked = _ranked(tables, holding, limits, {q.repository for q in quarantine}, runnable=runnable)
    waiting = [_waiting(x, n) for n, x in enumerate(ranked, 1) if n <= most or x.workflow.id == of]
    running = tuple(map(_running, holding))
    owners = {w.who for w in waiting} | {r.who for r in running} if limits.month else set[Owner]()
    return Crowd(
        now=timestamp(now),
        waiting=tuple(waiting),
        running=running,
        quarantine=quarantine,
        months={owner: spent for owner in sorted(owners) if (spent := month(tables, now, owner)) is not None},
        slot_seconds=0.0 if runnable else _held_seconds(tables),
        queued=len(ranked),
    )


def month(tables: Tables, now: datetime, owner: Owner) -> Budget | None:
    spent = tables.spending.get((*owner, f"{now:%Y-%m}"))
    return None if spent is None else Budget(microdollars=max(spent[0], 0), tokens=max(spent[1], 0))


def _ranked(tables: Tables, holding: list[Record], limits: Limits, closed: set[str], *, runnable: bool) -> list[Record]:
    """Priority, then fair turns between owners, then age."""
    of_owner = Counter((x.workflow.team, x.workflow.owner) for x in holding)
    of_repository = Counter(x.workflow.repository for x in holding)

    def can_run(x: Record) -> bool:
        w = x.workflow
        return not (
            (limits.user and of_owner[w.team, w.owner] >= limits.user)
            or (limits.repository and of_repository[w.repository] >= limits.repository)
            or w.repository in closed
        )

    waits = [x for x in tables.workflows.values() if x.queued_since and (not runnable or can_run(x))]
    turns = of_owner.copy()
    ranks: dict[str, tuple[int, int, datetime, str]] = {}
    for x in sorted(waits, key=_age):
        w = x.workflow
        turns[w.team, w.owner] += 1
        priority, since, id_ = _age(x)
        ranks[w.id] = (priority, turns[w.team, w.owner], since, id_)
    return sorted(waits, key=lambda x: ranks[x.workflow.id])


def _age(x: Record) -> tuple[int, datetime, str]:
    assert x.queued_since is not None, "it waits"
    return -x.workflow.priority, x.queued_since, x.workflow.id


def _quarantine(tables: Tables, now: datetime, limits: Limits) -> tuple[Quarantine, ...]:
    if not limits.failures:
        return ()
    window = timedelta(minutes=limits.failure_minutes)
    found = list[Quarantine]()
    for repository in sorted({failure.repository for failure in tables.failures}):
        recent = [f for f in tables.failures if f.repository == repository and f.at > now - window][::-1]
        if len(recent) >= limits.failures:
            until = timestamp(recent[limits.failures - 1].at + window)
            found.append(Quarantine(repository=repository, until=until, failures=len(recent), cause=recent[0].cause))
    return tuple(found)


def _waiting(x: Record, position: int) -> Waiting:
    w, allowed, spent = x.workflow, allowance(x.workflow), total(x.workflow.spent)
    assert x.queued_since is not None, "it waits"
    return Waiting(
        id=w.id,
        owner=w.owner,
        team=w.team,
        repository=w.repository,
        since=timestamp(x.queued_since),
        priority=w.priority,
        paths=paths(w),
        budget=Budget(microdollars=allowed.microdollars, tokens=allowed.tokens),
        spent=Budget(microdollars=spent.cost_microdollars, tokens=spent.tokens),
        title=w.issue.title,
        position=position,
    )


def _running(x: Record) -> Running:
    w, allowed, spent = x.workflow, allowance(x.workflow), total(x.workflow.spent)
    reserved = Budget(
        microdollars=max(allowed.microdollars - spent.cost_microdollars, 0) if allowed.microdollars else 0,
        tokens=max(allowed.tokens - spent.tokens, 0) if allowed.tokens else 0,
    )
    return Running(id=w.id, owner=w.owner, team=w.team, repository=w.repository, paths=paths(w), reserved=reserved)


def _held_seconds(tables: Tables) -> float:
    released = [x for x in tables.workflows.values() if x.released_at and x.admitted_at]
    latest = sorted(released, key=lambda x: x.released_at or x.updated_at)[-_LATEST:]
    held = [(x.released_at - x.admitted_at).total_seconds() for x in latest if x.released_at and x.admitted_at]
    return sum(held) / len(held) if held else 0.0
