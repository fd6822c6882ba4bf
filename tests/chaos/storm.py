"""One storm: people at work on a fleet that is being torn apart, then calm, then the evidence."""

import asyncio
import subprocess
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import aiohttp
import msgspec
from tests.chaos.evidence import Branch, Evidence, Story
from tests.chaos.ground import LEASE_SECONDS, Ground
from tests.chaos.hazards import CLEAR, Hazards
from tests.chaos.people import Desk, Person, Watcher
from tests.chaos.proxy import Weather
from tests.chaos.recorder import Recorder

Say = Callable[[str], None]
_RESTING = frozenset({"blocked", "paused", "completed", "failed", "cancelled"})


class Plan(msgspec.Struct, frozen=True, kw_only=True):
    """``storm_seconds`` is for how long it may blow at most; it ends when most stories have. ``bound_seconds`` is for
    how long after it nothing may happen while a story is not over. ``at_once`` stories are lived beside each other,
    ``pace`` is the seconds between two hazards, 0 for none; without them ``weather`` and ``faults`` stay as given."""

    seed: int
    workflows: int = 100
    repositories: int = 4
    forged: int = 3
    storm_seconds: float = 300
    bound_seconds: float = 60
    at_once: int = 28
    watched: int = 12
    pace: float = 2.0
    weather: Weather = CLEAR
    faults: tuple[dict[str, Any], ...] = ()


class Outcome(msgspec.Struct, frozen=True, kw_only=True):
    evidence: Evidence
    hazards: dict[str, int]
    struck: list[str]
    storm_seconds: float
    calm_seconds: float
    unsettled: list[str]


async def blow(ground: Ground, plan: Plan, told: list[Story], say: Say) -> Outcome:
    async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0)) as client:
        desk = Desk(client, ground.url, ground.token)
        hazards = Hazards(ground, client, plan.seed, plan.pace)
        seen = Evidence(stories=told)
        stop, quiet = asyncio.Event(), asyncio.Event()
        recorder = Recorder(client, ground.emulator)
        await recorder.subscribe()
        aside = [asyncio.create_task(recorder.listen(seen.heard)), asyncio.create_task(hazards.time_starts())]
        for story in told[:: max(1, len(told) // plan.watched)]:
            aside.append(asyncio.create_task(Watcher(desk, story, plan.seed, seen.readings).live(stop)))
        began = time.monotonic()
        room = asyncio.Semaphore(plan.at_once)
        lives = [asyncio.create_task(_in_turn(room, Person(desk, story, plan.seed))) for story in told]
        await ground.weather(client, plan.weather)
        await ground.faults(client, list(plan.faults), plan.seed)
        striking = asyncio.create_task(hazards.strike(quiet, lambda what: say(_at(began, what))))
        await _most_done(lives, plan.storm_seconds)
        quiet.set()
        await striking
        await hazards.calm()
        calm = time.monotonic()
        say(_at(began, f"calm; {sum(life.done() for life in lives)} of {len(lives)} stories are over"))
        await _settled(lives, told, plan.bound_seconds)
        ended = time.monotonic()
        for life in lives:
            life.cancel()
        await asyncio.gather(*lives, return_exceptions=True)
        await _look(ground, client, desk, seen)
        stop.set()
        for task in aside:
            task.cancel()
        await asyncio.gather(*aside, return_exceptions=True)
        return Outcome(
            evidence=seen,
            hazards=dict(hazards.happened),
            struck=sorted(mark.name for mark in ground.marks.iterdir()),
            storm_seconds=calm - began,
            calm_seconds=ended - calm,
            unsettled=[story.id or story.issue for story in told if not story.done],
        )


def _at(began: float, what: str) -> str:
    return f"{time.monotonic() - began:6.1f}  {what}"


async def _in_turn(room: asyncio.Semaphore, person: Person) -> None:
    async with room:
        await person.live()


async def _settled(lives: list["asyncio.Task[None]"], told: list[Story], bound_seconds: float) -> None:
    """Until all are over, or nothing has happened to any of them for so long."""
    heard, since = -1, time.monotonic()
    while not all(life.done() for life in lives):
        now = sum(len(story.polls) + len(story.answers) for story in told)
        if now != heard:
            heard, since = now, time.monotonic()
        elif time.monotonic() > since + bound_seconds:
            return
        await asyncio.sleep(0.2)


async def _most_done(lives: list["asyncio.Task[None]"], seconds: float) -> None:
    """Nine of ten, so that the storm also blows over the last ones' beginnings."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline and sum(life.done() for life in lives) < 0.9 * len(lives):
        await asyncio.sleep(0.2)


async def _look(ground: Ground, client: aiohttp.ClientSession, desk: Desk, seen: Evidence) -> None:
    """The quiet fleet, once everything that only travels has arrived."""
    await _until_published(client, ground, desk, seen)
    for story in seen.stories:
        for one in set(story.answers):
            status, view = await desk.ask("GET", f"/workflows/{one}")
            if status == 200:
                seen.views[one] = view
    cursor = ""
    while True:
        _, page = await desk.ask("GET", f"/workflows?limit=200{f'&cursor={cursor}' if cursor else ''}")
        seen.listed += [item["id"] for item in page["items"]]
        if not (cursor := page["next"]):
            break
    seen.waiting = await _idle_sessions(ground, client, seen)
    seen.branches = await asyncio.to_thread(_branches, ground.repositories)
    if any(story.proposes for story in seen.stories):
        async with client.get(f"{ground.forge}/_peer/pulls") as answer:
            seen.pulls = await answer.json()


async def _until_published(client: aiohttp.ClientSession, ground: Ground, desk: Desk, seen: Evidence) -> None:
    deadline = time.monotonic() + 15
    while True:
        for story in seen.stories:
            if story.id:
                seen.journals[story.id] = await _journal(client, desk, story.id)
        async with client.get(f"{ground.proxy}/_published") as answer:
            said = (await answer.json())["published"]
        seen.published = [one["detail"] for one in said if one["source"] == "amelia.control"]
        out = {detail["id"] for detail in seen.published}
        missing = [
            event
            for journal in seen.journals.values()
            for event in journal
            if not event.get("fact") and not event.get("ordinal") and event["id"] not in out
        ]
        if not missing or time.monotonic() > deadline:
            return
        await asyncio.sleep(1)


async def _journal(client: aiohttp.ClientSession, desk: Desk, one: str) -> list[dict[str, Any]]:
    """All pages of it."""
    found: list[dict[str, Any]] = []
    while True:
        after = found[-1]["sequence"] if found else 0
        _, page = await desk.ask("GET", f"/workflows/{one}/events?after={after}", accept="application/json")
        if not page:
            return found
        found += page


async def _idle_sessions(ground: Ground, client: aiohttp.ClientSession, seen: Evidence) -> list[str]:
    """A session may take one lease period to go, and on a busy machine some more."""
    still = {one for one, view in seen.views.items() if view["status"] in _RESTING}
    deadline = time.monotonic() + 4 * LEASE_SECONDS
    while True:
        running = sorted(still & set(await ground.sessions(client)))
        if not running or time.monotonic() > deadline:
            return running
        await asyncio.sleep(0.3)


def _branches(repositories: dict[str, Path]) -> list[Branch]:
    found = []
    for repository, path in repositories.items():
        for line in _git(path, "for-each-ref", "--format=%(refname:short) %(objectname)", "refs/heads").splitlines():
            name, commit = line.split()
            if name == "main":
                continue
            files = _git(path, "diff", "--name-only", "main", commit).split()
            found.append(
                Branch(
                    repository=repository,
                    name=name,
                    commit=commit,
                    files={file: _git(path, "show", f"{commit}:{file}") for file in files},
                    commits=_git(path, "rev-list", "--reverse", f"main..{commit}").split(),
                )
            )
    return found


def _git(path: Path, *arguments: str) -> str:
    command = ["git", "-c", "safe.directory=*", *arguments]
    return subprocess.run(command, cwd=path, check=True, capture_output=True, text=True).stdout


def summary(outcome: Outcome, violations: list[str]) -> str:
    statuses = Counter(view["status"] for view in outcome.evidence.views.values())
    hazards = sum(outcome.hazards.values()) + len(outcome.struck)
    return (
        f"{len(outcome.evidence.stories)} workflows ({', '.join(f'{n} {s}' for s, n in sorted(statuses.items()))}), "
        f"{hazards} hazards ({len(outcome.struck)} failpoints), storm {outcome.storm_seconds:.0f} s, "
        f"settled {outcome.calm_seconds:.1f} s after it, {len(outcome.evidence.readings)} subscriptions, "
        f"{len(violations)} violations"
    )
