"""Those who use the fleet: start, decide, cancel, watch; and never take silence for an answer."""

import asyncio
import random
from typing import Any

import aiohttp
import msgspec
from tests.chaos.evidence import Reading, Story

_ENDED = frozenset({"completed", "failed", "cancelled"})
_PATHS = {"tell": "messages"}
_AWAY = (aiohttp.ClientError, TimeoutError, OSError)


class Desk:
    """Speaks to the API. An answer that did not come, or a 5xx, is asked for again under the same key."""

    def __init__(self, client: aiohttp.ClientSession, url: str, token: str) -> None:
        self._client = client
        self._api = f"{url}/api/v1"
        self._headers = {"Authorization": f"Bearer {token}"}

    async def ask(
        self, method: str, path: str, *, key: str = "", body: object = None, accept: str = "*/*"
    ) -> tuple[int, Any]:
        headers = self._headers | {"Accept": accept} | ({"Idempotency-Key": key} if key else {})
        pause = 0.1
        while True:
            try:
                async with self._client.request(
                    method, self._api + path, json=body, headers=headers, timeout=aiohttp.ClientTimeout(10)
                ) as answer:
                    if answer.status < 500:
                        return answer.status, await answer.json(content_type=None)
            except _AWAY:
                pass
            await asyncio.sleep(pause)
            pause = min(1.0, pause * 2)

    async def watch(self, reading: Reading, most: int) -> str:
        """One connection, until it breaks or has brought ``most`` events; returns the last one's type."""
        last = ""
        address = f"{self._api}/workflows/{reading.workflow}/events?after={reading.after}&batch=1"
        try:
            async with self._client.ws_connect(address, headers=self._headers, max_msg_size=2**26) as socket:
                async for message in socket:
                    if message.type != aiohttp.WSMsgType.TEXT:
                        break
                    said = msgspec.json.decode(message.data)
                    for frame in said if isinstance(said, list) else [said]:
                        if "id" in frame:
                            reading.seen.append((frame["sequence"], frame["id"]))
                            last = frame["type"]
                    if len(reading.seen) >= most:
                        break
        except _AWAY:
            pass
        return last


class Person:
    """Lives through one story. ``drawn`` is theirs alone, so that what they intend does not depend on the others."""

    def __init__(self, desk: Desk, story: Story, seed: int) -> None:
        self._desk = desk
        self._story = story
        self._random = random.Random(f"{seed}/{story.key}")

    async def live(self) -> None:
        await self._start()
        try:
            match self._story.intent:
                case "cancel":
                    await asyncio.gather(self._cancel_sometime(), self._see_it_through())
                case "retry":
                    await self._cancel_sometime()
                    await self._take_up_again()
                    await self._see_it_through()
                case "pause":
                    await asyncio.gather(self._pause_sometime(), self._see_it_through())
                case "tell":
                    await asyncio.gather(self._tell_sometime(), self._see_it_through())
                case _:
                    await self._see_it_through()
        finally:
            self._story.done = self._story.polls[-1:] != [] and self._settled(self._story.polls[-1])

    async def _start(self) -> None:
        story = self._story
        body = {
            "issue": {"id": story.issue, "title": f"Do {story.issue}"},
            "repository": story.repository,
            "profile": {},
            "auto_approve": story.intent == "auto",
        }
        times = 2 if self._random.random() < 0.2 else 1
        asked = [self._desk.ask("POST", "/workflows", key=story.key, body=body) for _ in range(times)]
        for status, answer in await asyncio.gather(*asked):
            if status == 202:
                story.answers.append(answer["id"])
            else:
                story.wrong.append(f"start was answered {status}: {answer}")

    async def _see_it_through(self) -> None:
        while self._story.answers:
            status, view = await self._desk.ask("GET", f"/workflows/{self._story.id}")
            if status != 200:
                self._story.wrong.append(f"an accepted workflow is answered {status}: {view}")
                return
            if self._story.polls[-1:] != [view["status"]]:
                self._story.polls.append(view["status"])
            if self._settled(view["status"]):
                return
            if view["status"] == "blocked":
                await asyncio.sleep(self._random.random() * 1.5)
                await self._decide(view)
            await asyncio.sleep(0.4 + self._random.random() * 0.4)

    def _settled(self, status: str) -> bool:
        return status in _ENDED or (status == "blocked" and self._story.intent == "leave")

    async def _decide(self, view: dict[str, Any]) -> None:
        if self._story.intent == "revise" and not any(verb == "revise" for verb, _ in self._story.said):
            await self._revise(view)
            return
        verb = "reject" if self._story.intent == "reject" else "approve"
        decision = {"block_id": view["block_id"], "plan_sha256": view["plan_sha256"]}
        if self._random.random() < 0.2:
            await self._decide_another_plan(verb, decision)
        times = 3 if self._random.random() < 0.3 else 1
        path = f"/workflows/{self._story.id}/{verb}"
        asked = [
            self._desk.ask("POST", path, key=f"{self._story.key}/{verb}/{n}/{view['block_id']}", body=decision)
            for n in range(times)
        ]
        answers = await asyncio.gather(*asked)
        for status, answer in answers:
            if status == 200:
                self._story.said.append((verb, view["plan_sha256"]))
            elif status != 409:
                self._story.wrong.append(f"{verb} was answered {status}: {answer}")

    async def _decide_another_plan(self, verb: str, decision: dict[str, str]) -> None:
        other = {**decision, "plan_sha256": "0" * 64}
        status, answer = await self._desk.ask("POST", f"/workflows/{self._story.id}/{verb}", body=other)
        if status != 409:
            self._story.wrong.append(f"{verb} of another plan was answered {status}: {answer}")

    async def _revise(self, view: dict[str, Any]) -> None:
        body = {"block_id": view["block_id"], "plan_sha256": view["plan_sha256"], "feedback": "Think again."}
        await self._order("revise", body, turn=view["block_id"], twice=self._random.random() < 0.3)

    async def _cancel_sometime(self) -> None:
        await asyncio.sleep(self._random.random() * 8)
        await self._order("cancel")

    async def _take_up_again(self) -> None:
        """What was cancelled; what had ended before it could be is left alone."""
        if any(verb == "cancel" for verb, _ in self._story.said):
            await asyncio.sleep(self._random.random() * 3)
            await self._order("retry", {"start": self._random.random() < 0.5}, twice=True)

    async def _pause_sometime(self) -> None:
        """Until it is: a plan that waits cannot be paused."""
        for turn in range(200):
            await asyncio.sleep(0.3 + self._random.random() * 2)
            if self._story.done or self._story.polls[-1:] == ["completed"]:
                return
            if await self._order("pause", {"reason": "lunch"}, turn=turn):
                break
        await asyncio.sleep(self._random.random() * 4)
        await self._order("resume", {}, twice=True)

    async def _tell_sometime(self) -> None:
        for turn in range(2):
            await asyncio.sleep(self._random.random() * 6)
            await self._order("tell", {"text": f"Mind the {turn}."}, turn=turn, twice=True)

    async def _order(self, verb: str, body: object = None, *, turn: object = 0, twice: bool = False) -> bool:
        """Whether it was accepted. ``twice``: under one key, at the same time."""
        one = f"/workflows/{self._story.id}"
        method, path = ("DELETE", one) if verb == "cancel" else ("POST", f"{one}/{_PATHS.get(verb, verb)}")
        key = f"{self._story.key}/{verb}/{turn}"
        asked = [self._desk.ask(method, path, key=key, body=body) for _ in range(1 + twice)]
        answers = await asyncio.gather(*asked)
        for status, answer in answers:
            if status not in (200, 202, 409):
                self._story.wrong.append(f"{verb} was answered {status}: {answer}")
        accepted = any(status in (200, 202) for status, _ in answers)
        if accepted:
            self._story.said.append((verb, ""))
        return accepted


class Watcher:
    """Follows one workflow over many connections; now and then comes back with an older place than it has."""

    def __init__(self, desk: Desk, story: Story, seed: int, readings: list[Reading]) -> None:
        self._desk = desk
        self._story = story
        self._random = random.Random(f"watch/{seed}/{story.key}")
        self._readings = readings

    async def live(self, stop: asyncio.Event) -> None:
        place = 0
        while not stop.is_set():
            if not self._story.id:
                await asyncio.sleep(0.2)
                continue
            after = place if self._random.random() < 0.7 else self._random.randint(0, place)
            reading = Reading(workflow=self._story.id, after=after)
            self._readings.append(reading)
            await self._desk.watch(reading, self._random.randint(1, 40))
            place = max([place, *(sequence for sequence, _ in reading.seen)])
            await asyncio.sleep(self._random.random() * (10 if self._story.done else 1))
