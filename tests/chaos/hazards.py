"""What goes wrong, when, and to whom: drawn from the seed."""

import asyncio
import random
import signal
import time
from collections import Counter
from collections.abc import Awaitable, Callable, Iterator
from typing import Any

import aiohttp
from tests.chaos.ground import LEASE_SECONDS, Ground, send
from tests.chaos.proxy import Weather

from amelia.failpoints import POINTS

CLEAR = Weather()
_PARTS = ("api", "dispatcher", "router")
_CHANCES = {
    "session": 30,
    "part": 20,
    "zombie": 12,
    "weather": 14,
    "stand-in": 8,
    "zygote": 3,
    "agentcore": 3,
    "replay": 4,
    "postgres": 4,
    "emulator": 4,
    "forge": 4,
}


def failpoints(seed: int, strikes: int) -> str:
    """Each point once early, and ``strikes - 1`` times later; beside them a rare one anywhere."""
    drawn = random.Random(f"failpoints/{seed}")
    said = []
    for point in POINTS:
        passes = sorted({drawn.randint(1, 9), *(drawn.randint(10, 60) for _ in range(strikes - 1))})
        said += [f"{point}=kill@{count}" for count in passes]
    if strikes > 1:
        said.append("*=kill%0.0005")
    return f"{','.join(said)};seed={seed}"


class Hazards:
    """``pace`` seconds lie between two of them on average. ``happened`` counts them."""

    def __init__(self, ground: Ground, client: aiohttp.ClientSession, seed: int, pace: float) -> None:
        self._ground = ground
        self._client = client
        self._random = random.Random(f"hazards/{seed}")
        self._pace = pace
        self._aside: set[asyncio.Task[None]] = set()
        self._start_seconds = 3.0
        self.happened: Counter[str] = Counter()

    async def strike(self, stop: asyncio.Event, say: Callable[[str], None]) -> None:
        acts: dict[str, Callable[[], Awaitable[str]]] = {
            "session": self._kill_session,
            "part": self._kill_part,
            "zombie": self._freeze,
            "weather": self._change_weather,
            "stand-in": self._spoil_the_stand_in,
            "zygote": self._kill_zygote,
            "agentcore": lambda: self._kill("agentcore", signal.SIGKILL),
            "replay": lambda: self._kill("replay", signal.SIGKILL),
            "postgres": lambda: self._kill("postgres", self._random.choice((signal.SIGQUIT, signal.SIGKILL))),
            "emulator": self._restart_emulator,
            "forge": self._restart_forge,
        }
        order = self._deck()
        while self._pace and not stop.is_set():
            name = next(order)
            done = await acts[name]()
            if done:
                self.happened[done] += 1
                say(done)
            try:
                await asyncio.wait_for(stop.wait(), self._random.uniform(0.4, 1.6) * self._pace)
            except TimeoutError:
                continue

    async def time_starts(self) -> None:
        """For ever: how long the api takes from death to readiness. On a busy machine programs that are killed sooner
        than they start would never get to do anything that could go wrong."""
        while True:
            gone = time.monotonic()
            while not await self._ground.ready(self._client):
                await asyncio.sleep(0.2)
            took = time.monotonic() - gone
            if took > 1:
                self._start_seconds = max(3.0, (self._start_seconds + took) / 2)
            await asyncio.sleep(0.5)

    async def calm(self) -> None:
        await asyncio.gather(*self._aside)
        await self._ground.weather(self._client, CLEAR)
        await self._ground.faults(self._client, [], 0)

    def _deck(self) -> Iterator[str]:
        """Every kind comes before any comes again too often: shuffled decks, one after the other."""
        while True:
            deck = [name for name, weight in _CHANCES.items() for _ in range(max(1, round(weight / 4)))]
            self._random.shuffle(deck)
            yield from deck

    async def _kill(self, part: str, number: signal.Signals) -> str:
        pid = await self._ground.pid(part, 2 * self._start_seconds)
        return f"{number.name} {part}" if send(pid, number) else ""

    async def _kill_part(self) -> str:
        return await self._kill(self._random.choice(_PARTS), signal.SIGKILL)

    async def _kill_session(self) -> str:
        sessions = sorted((await self._ground.sessions(self._client)).items())
        return "SIGKILL session" if sessions and send(self._random.choice(sessions)[1], signal.SIGKILL) else ""

    async def _kill_zygote(self) -> str:
        return "SIGKILL zygote" if send(await self._ground.zygote(self._client), signal.SIGKILL) else ""

    async def _freeze(self) -> str:
        """Longer than its lease: when it wakes it does not know that it has been replaced."""
        name = self._random.choice(("session", "session", "dispatcher", "router"))
        if name == "session":
            pid = self._random.choice(sorted((await self._ground.sessions(self._client)).values()) or [0])
        else:
            pid = await self._ground.pid(name, 2 * self._start_seconds)
        if not send(pid, signal.SIGSTOP):
            return ""
        task = asyncio.create_task(_thaw(pid))
        self._aside.add(task)
        task.add_done_callback(self._aside.discard)
        return f"SIGSTOP {name}"

    async def _restart_emulator(self) -> str:
        number = self._random.choice((signal.SIGTERM, signal.SIGTERM, signal.SIGKILL))
        await self._ground.restart_emulator(number)
        return f"{number.name} emulator"

    async def _restart_forge(self) -> str:
        return "SIGKILL forge" if await self._ground.restart_forge() else ""

    async def _change_weather(self) -> str:
        chance = self._random.choice((0.01, 0.05, 0.15))
        kinds = self._random.sample(("drop", "swallow", "double", "lose", "refuse", "partial", "delay", "stall"), k=4)
        weather = Weather(**{kind: chance / 4 if kind == "stall" else chance for kind in kinds})
        await self._ground.weather(self._client, weather)
        return "weather"

    async def _spoil_the_stand_in(self) -> str:
        rules: list[dict[str, Any]] = [
            {"operation": "invoke", "status": self._random.choice((409, 424, 429, 500, 503)), "probability": 0.1},
            {"operation": "invoke", "drop_after": True, "probability": 0.1},
            {"operation": "invoke", "kill": self._random.choice(("before", "during", "after")), "probability": 0.1},
            {"operation": "create_event", "drop_after": True, "probability": 0.02},
            {"operation": "list_events", "status": 500, "probability": 0.02},
            {"operation": "stop", "status": 500, "probability": 0.1},
        ]
        await self._ground.faults(self._client, self._random.sample(rules, k=3), self._random.randrange(2**31))
        return "AgentCore errors"


async def _thaw(pid: int) -> None:
    await asyncio.sleep(1.5 * LEASE_SECONDS)
    send(pid, signal.SIGCONT)
