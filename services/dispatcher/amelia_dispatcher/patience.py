"""How long to leave somebody alone who was asked and has not answered."""

import asyncio
from collections.abc import Collection

_FIRST_SECONDS = 2.0
_LONGEST_SECONDS = 60.0


class Patience:
    """Asked for the same thing again, each time after twice as long. What is forgotten when the program ends costs one
    question too many."""

    def __init__(self) -> None:
        self._asked: dict[str, tuple[tuple[int, int], float, float]] = {}

    def over(self, who: str, what: tuple[int, int]) -> bool:
        """Whether to ask now; it counts as asked then."""
        now = asyncio.get_running_loop().time()
        before, pause, again_at = self._asked.get(who, (None, 0.0, 0.0))
        if before == what and now < again_at:
            return False
        pause = min(2 * pause, _LONGEST_SECONDS) if before == what else _FIRST_SECONDS
        self._asked[who] = (what, pause, now + pause)
        return True

    def only(self, known: Collection[str]) -> None:
        """Forgets everyone else."""
        self._asked = {who: asked for who, asked in self._asked.items() if who in known}
