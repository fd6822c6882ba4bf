"""What goes wrong, how often: each seed has some of the faults, so that they meet in ever new company."""

import random
from collections.abc import Collection

import msgspec

RARE, SOMETIMES, OFTEN = 0.01, 0.05, 0.2


class Weather(msgspec.Struct, kw_only=True):
    """Probabilities are per call or per message, ``mean_*`` are seconds between events (0: never)."""

    kill_at_call: float = 0
    mean_kill: float = 0
    mean_stop: float = 0
    slow: float = 0
    journal_away: float = 0
    journal_unknown: float = 0
    mean_outage: float = 0
    notices_lost: float = 0
    clock_steps: float = 0
    commands_dropped: float = 0
    commands_doubled: float = 0
    events_dropped: float = 0
    events_doubled: float = 0
    events_delayed: float = 0
    events_rewritten: float = 0
    events_mangled: float = 0
    queue_away: float = 0
    queue_unknown: float = 0
    mean_queue_emptied: float = 0
    bus_throttled: float = 0
    bus_partial: float = 0
    not_started: float = 0
    no_room: float = 0
    conflicted: float = 0
    unanswered: float = 0
    slow_start: float = 0
    stop_fails: float = 0
    stop_disobeyed: float = 0
    mean_session_kill: float = 0
    mean_session_stop: float = 0
    push_fails: float = 0
    push_unknown: float = 0
    objects_away: float = 0
    hangs: float = 0
    clone_fails: float = 0
    memory_away: float = 0
    memory_unknown: float = 0
    readers_flap: float = 0
    people_think: float = 0
    people_regret: float = 0
    people_stop_deliveries: float = 0
    poison: float = 0
    keys_rotate: float = 0


_MEANS = {"mean_kill": 40.0, "mean_stop": 60.0, "mean_outage": 45.0, "mean_queue_emptied": 40.0}
_MEANS |= {"mean_session_kill": 25.0, "mean_session_stop": 40.0}
_SELDOM = {"kill_at_call": 0.1, "events_mangled": 0.3}
"""What happens at every call is scaled down, else nothing would ever come to an end."""


def forecast(rng: random.Random) -> Weather:
    """A third of the faults, each with a strength of its own; one seed in twenty has fine weather."""
    if rng.random() < 0.05:
        return Weather()
    chosen: dict[str, float] = {}
    share = rng.choice((0.15, 0.35, 0.6))
    for name in Weather.__struct_fields__:
        if rng.random() < share:
            chosen[name] = _strength(name, rng)
    return Weather(**chosen)


def _strength(name: str, rng: random.Random) -> float:
    if name in _MEANS:
        return _MEANS[name] * rng.choice((0.4, 1, 2))
    return rng.choice((RARE, SOMETIMES, OFTEN)) * _SELDOM.get(name, 1)


def clear_up(weather: Weather, but: Collection[str] = ()) -> None:
    for name in Weather.__struct_fields__:
        if name not in but:
            setattr(weather, name, 0)
