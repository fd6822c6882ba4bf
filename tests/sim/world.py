"""One simulated fleet: its machines, what surrounds them, and the storm."""

import asyncio
import hashlib
import logging
import random
from collections.abc import Awaitable, Callable, Collection, Coroutine, Mapping, Sequence
from typing import cast

import msgspec

from amelia.adapters.memory.clock import LoopClock
from amelia.burial import burying
from amelia.consumer import Consumer
from amelia.contract.ids import new_id
from amelia.orchestrator.state import State
from amelia.ports.journal import Journal
from amelia.settings import Settings
from amelia_dispatcher.admission import Gatekeeper
from amelia_dispatcher.attempt import Attempts
from amelia_dispatcher.deliver import Deliveries
from amelia_dispatcher.dispatch import Dispatcher
from amelia_dispatcher.relay import Relay
from amelia_dispatcher.sweep import Sweeper
from amelia_router.route import Router

from . import check
from .api import Api, Reader
from .books import JournalClient, WatchedDatabase
from .carrying import Checkpoints, Script
from .client import Client
from .keys import KeysClient
from .ledger import Ledger
from .loop import BEGINNING, Never, SimLoop, Stuck, simulate
from .machine import Machine
from .outside import ForgeClient, ObjectsClient, Remote, RemoteClient
from .platform import Container, Platform, RuntimesClient
from .queues import BusClient, QueueClient, SimQueue
from .watch import Violation, Watch
from .weather import OFTEN, Weather, clear_up, forecast

SETTLE_SECONDS, QUIET_SECONDS = 1800.0, 400.0
"""After the storm everything ends, and something is heard in between."""
NO_MORE: Mapping[str, float] = {}
POISON = (
    "not json",
    "[]",
    '{"detail":{}}',
    '{"type":"start_workflow"}',
    '{"detail-type":"agent_message","detail":{"type":"agent_message","workflow_id":"wf-x","attempt":1,"signature":""}}',
    '{"type":"attend_workflow","id":"1","workflow_id":"wf-nowhere","actor":"eve"}',
    "[" * 5_000,
)


class Ended(Exception):
    """A violation was found; there is no need to go on."""


class World:
    def __init__(self, loop: SimLoop, weather: Weather, *, tells: bool = False, lasting: Collection[str] = ()) -> None:
        self.loop = loop
        self.random: random.Random = loop.random
        self.weather = weather
        self.clock = LoopClock(BEGINNING)
        self.settings = Settings(
            lease_seconds=self.random.choice((8.0, 20.0)),
            heartbeat_seconds=2,
            progress_seconds=60,
            quarantine_failures=self.random.choice((1, 2)),
            quarantine_minutes=self.random.choice((0.5, 1)),
            max_in_progress=self.random.choice((1, 2, 50)),
            max_in_progress_per_user=self.random.choice((0, 0, 1)),
            max_in_progress_per_repository=self.random.choice((0, 0, 1)),
        )
        self.watch = Watch(self)
        self.database = WatchedDatabase(self)
        self.commands = SimQueue(self, "commands", fifo=True)
        self.events = SimQueue(self, "events", fifo=False)
        self.objects: dict[str, bytes] = {}
        self.remote = Remote()
        self.ledger = Ledger()
        self.memory = Checkpoints()
        self.scripts: dict[str, Script] = {}
        self.platform = Platform(self)
        self.secret = [b"m" * 32]
        self.api = Api(self)
        self.clients = [Client(self, number) for number in range(self.random.choice((1, 1, 2, 2, 3, 4)))]
        self.readers: list[Reader] = []
        self.poison: dict[tuple[str, str], None] = {}
        """By queue and body, what is to become a dead letter."""
        self.lost: set[tuple[str, str]] = set()
        """Poison that its queue lost, buried before or not."""
        self.calm_since: float | None = None
        self.machines: dict[str, Machine] = {}
        self._lives: list[asyncio.Future[None]] = []
        self._tells = tells
        self._lasting = lasting
        self._hash = hashlib.sha256()

    def strikes(self, probability: float) -> bool:
        return probability > 0 and self.random.random() < probability

    def trace(self, what: str, *said: str) -> None:
        line = f"{self.loop.time():10.4f} {what} {' '.join(said)}"
        self._hash.update(line.encode())
        if self._tells:
            print(line)

    @property
    def digest(self) -> str:
        return self._hash.hexdigest()

    def objects_for(self, machine: Machine) -> ObjectsClient:
        return ObjectsClient(self.objects, machine)

    def journal_for(self, machine: Machine) -> Journal:
        return cast(Journal, JournalClient(self.database, machine, self.settings.lease_seconds))

    async def live(self) -> None:
        self._keep("api", self.api.run)
        for number in range(self.random.choice((1, 2))):
            self._keep(f"router {number}", self._router)
            self._keep(f"dispatcher {number}", self._dispatcher)
        people = [asyncio.ensure_future(client.live()) for client in self.clients]
        for client in self.clients:
            self._read(client.workflow_id)
        storm = [asyncio.ensure_future(blow) for blow in self._storm()]
        await self._wait(people, self.random.choice((15.0, 30.0, 60.0, 90.0)))
        self._calm(storm)
        await self._wait(people, SETTLE_SECONDS)
        if not all(person.done() for person in people):
            check.unsettled(self)
            raise Ended
        for person in people:
            person.result()
        await self._rest()
        check.final(self)

    async def _wait(self, people: Sequence["asyncio.Future[None]"], seconds: float) -> None:
        deadline = self.loop.time() + seconds
        while self.loop.time() < deadline and not all(person.done() for person in people):
            await asyncio.sleep(1)
            check.sessions_end(self)
            check.timers_strike(self)
            if self.watch.violations:
                raise Ended
            if self.loop.time() > max(self.watch.heard_at, self.calm_since or deadline) + QUIET_SECONDS:
                return

    async def _rest(self) -> None:
        """Until nothing is left to do anywhere, though not for ever."""
        deadline = self.loop.time() + 200
        while self.loop.time() < deadline and not check.at_rest(self):
            await asyncio.sleep(1)
            check.sessions_end(self)
            check.timers_strike(self)
            if self.watch.violations:
                raise Ended

    def _read(self, workflow_id: str) -> None:
        for _ in range(self.random.choice((1, 2)) + 3 * (self.weather.readers_flap > OFTEN)):
            self.readers.append(Reader(self, workflow_id))
            self._lives.append(asyncio.ensure_future(self.readers[-1].live()))

    def _keep(self, name: str, run: Callable[[Machine], Awaitable[None]]) -> None:
        self._lives.append(asyncio.ensure_future(self._kept(name, run)))

    async def _kept(self, name: str, run: Callable[[Machine], Awaitable[None]]) -> None:
        """A program that ended is started again."""
        while True:
            machine = self.machines[name] = Machine(self, name)

            async def body(machine: Machine = machine) -> None:
                await run(machine)

            task = machine.begin(body())
            await asyncio.wait([task, asyncio.ensure_future(machine.gone.wait())], return_when="FIRST_COMPLETED")
            if machine.alive and not task.cancelled() and task.exception() is not None:
                self.watch.broken("I1", f"{name} broke off: {task.exception()!r}")
            machine.kill()
            await asyncio.sleep(0.2 + self.random.random() * 5)

    async def _router(self, machine: Machine) -> None:
        journal = self.journal_for(machine)
        router = Router(journal, KeysClient(self.secret, machine), instance=new_id())
        consumer = Consumer(
            QueueClient(self.events, machine),
            router.handle,
            in_flight=2,
            max_receives=3,
            drained=router.drained,
            bury=burying(journal, "events"),
        )
        await consumer.run(Never())

    async def _dispatcher(self, machine: Machine) -> None:
        journal, runtimes = self.journal_for(machine), RuntimesClient(self.platform, machine)
        queue, bus, stop = QueueClient(self.commands, machine), BusClient(machine, None, []), Never()
        remote, forge = RemoteClient(self.remote, machine), ForgeClient(self.remote, machine)
        attempts = Attempts(journal, runtimes, KeysClient(self.secret, machine), forge, self.settings)
        gatekeeper = Gatekeeper(journal, runtimes, attempts, self.settings)
        deliveries = Deliveries(
            journal, self.objects_for(machine), remote, forge, forge, patience_seconds=self.random.choice((20.0, 900.0))
        )
        dispatcher = Dispatcher(journal, runtimes, attempts, gatekeeper, deliveries)
        consumer = Consumer(queue, dispatcher.handle, in_flight=2, max_receives=3, bury=burying(journal, "commands"))
        relay = Relay(journal, queue, bus, resend_seconds=self.settings.resend_seconds)
        async with asyncio.TaskGroup() as group:
            group.create_task(consumer.run(stop))
            group.create_task(relay.run(stop))
            group.create_task(Sweeper(journal, attempts, gatekeeper, self.settings).run(stop))

    def _storm(self) -> list[Coroutine[None, None, None]]:
        weather, rng = self.weather, self.random
        blows: list[tuple[float, Callable[[], None]]] = [
            (weather.mean_kill, lambda: self._any_machine().kill()),
            (weather.mean_stop, lambda: self._any_machine().stop(rng.random() * 1.5 * self.settings.lease_seconds)),
            (weather.mean_session_kill, self._kill_session),
            (weather.mean_session_stop, self._stop_session),
            (weather.mean_outage, lambda: self.database.fail(self.loop.time() + rng.random() * 15)),
            (weather.mean_queue_emptied, lambda: rng.choice((self.commands, self.events)).lose_everything()),
            (10 if weather.poison else 0, self._poison),
            (30 if weather.keys_rotate else 0, lambda: self.secret.insert(0, rng.randbytes(32))),
            (30 if weather.clock_steps else 0, lambda: self.clock.step(rng.choice((-30, -5, 5, 30, 300)))),
        ]
        return [self._blow(mean, strike) for mean, strike in blows if mean]

    async def _blow(self, mean_seconds: float, strike: Callable[[], None]) -> None:
        while True:
            await asyncio.sleep(self.random.expovariate(1 / mean_seconds))
            strike()

    def _any_machine(self) -> Machine:
        return self.machines[self.random.choice(sorted(self.machines))]

    def _any_session(self) -> list[Container]:
        running = self.platform.running()
        return [self.random.choice(running)] if running else []

    def _poison(self) -> None:
        """Each its own, so that the dead letters can be counted."""
        queue = self.random.choice((self.commands, self.events))
        body = f"{self.random.choice(POISON)}{' ' * (len(self.poison) + len(self.lost))}"
        self.poison[queue.name, body] = None
        queue.put(body, "poison")

    def _kill_session(self) -> None:
        for container in self._any_session():
            container.machine.kill()

    def _stop_session(self) -> None:
        for container in self._any_session():
            container.machine.stop(self.random.random() * 2 * self.settings.lease_seconds)

    def _calm(self, storm: Sequence["asyncio.Future[None]"]) -> None:
        self.trace("calm")
        self.calm_since = self.loop.time()
        for blowing in storm:
            blowing.cancel()
        clear_up(self.weather, self._lasting)


class Outcome:
    """What came of one seed."""

    def __init__(self, seed: int, violations: list[Violation], world: World) -> None:
        self.seed = seed
        self.violations = violations
        self.digest = world.digest
        self.ends = sorted(r.workflow.status for r in world.database.tables.workflows.values())
        self.seconds = world.loop.time()


def run(seed: int, *, tells: bool = False, weather: Mapping[str, float] = NO_MORE) -> Outcome:
    """The whole life of one fleet, in the seed's weather with ``weather`` on top, which lasts.

    Logging costs more than all the rest, so it is off.
    """
    worlds: list[World] = []

    async def main(loop: SimLoop) -> None:
        world = World(
            loop, msgspec.structs.replace(forecast(loop.random), **weather), tells=tells, lasting=weather.keys()
        )
        worlds.append(world)
        try:
            await world.live()
        except Ended:
            return

    level = logging.root.manager.disable
    if not tells:
        logging.disable(logging.CRITICAL)
    try:
        simulate(str(seed), main)
    except Stuck as stuck:
        worlds[0].watch.violations.append(Violation("I9", str(stuck)))
    finally:
        logging.disable(level)
    return Outcome(seed, worlds[0].watch.violations, worlds[0])


__all__ = ["Outcome", "State", "World", "run"]
