"""Which of a turn's injected failures comes next."""

from amelia.drivers.base import Label
from amelia_replay.asked import Asked
from amelia_replay.conversation import Fault, Turn

Key = tuple[Label | None, int]


class Faults:
    """Counted per workflow, issue, agent, task, round and turn, in memory: a restarted server plays them again."""

    def __init__(self) -> None:
        self._played: dict[Key, int] = {}

    def next(self, asked: Asked, turn: Turn) -> Fault | None:
        due = [fault for fault in turn.errors for _ in range(min(fault.times, 10_000))]
        key = (asked.label, asked.turn)
        played = self._played.get(key, 0)
        if played >= len(due):
            return None
        self._played[key] = played + 1
        return due[played]
