"""The runtime in AgentCore: in sessions of its own, with the real orchestrator and the real wire of every neighbour."""

import asyncio
import json
import os
import signal
import subprocess
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any
from urllib.request import urlopen

import msgspec
import pytest
from msgspec.structs import replace

from amelia.adapters.aws.objects import S3Objects
from amelia.adapters.aws.provision import provision
from amelia.adapters.aws.runtimes import AgentCoreRuntimes
from amelia.adapters.aws.session import AGENTCORE, open_client
from amelia.contract.invocation import Invocation
from amelia.contract.signature import verify
from amelia.contract.workflow import ClaimCheck, Decision, Left, Money
from amelia.settings import Settings

Asked = Callable[..., Invocation]
Json = dict[str, Any]


class Session:
    """A workflow's session, and its process."""

    def __init__(self, client: Any, settings: Settings, workflow_id: str) -> None:
        self._runtimes = AgentCoreRuntimes(client, settings.runtime_arn)
        self._url = settings.agentcore_endpoint_url
        self._id = workflow_id

    async def invoke(self, asked: Invocation) -> Json:
        answer: Json = json.loads(await self._runtimes.invoke(self._id, msgspec.json.encode(asked)))
        return answer

    async def stop(self) -> None:
        assert await self._runtimes.stop(self._id)

    @property
    def processes(self) -> list[Json]:
        with urlopen(f"{self._url}/_sessions") as answer:
            return [view for view in json.load(answer)["sessions"] if view["id"] == self._id]

    async def until(self, true: Callable[[list[Json]], bool]) -> None:
        while not true(await asyncio.to_thread(lambda: self.processes)):
            await asyncio.sleep(0.02)

    async def idle(self) -> None:
        await self.until(lambda views: bool(views) and not views[0]["busy"])

    async def kill(self) -> str:
        """Gives what it has logged."""
        [view] = self.processes
        os.kill(view["pid"], signal.SIGKILL)
        await self.until(lambda views: view["pid"] not in [other["pid"] for other in views])
        return Path(view["log"]).read_text()


@pytest.fixture
async def session(settings: Settings, asked: Asked) -> AsyncIterator[Session]:
    async with open_client(AGENTCORE, settings) as client:
        session = Session(client, settings, asked(1).workflow_id)
        yield session
        await session.stop()


class Journal:
    """What arrives in the events queue."""

    def __init__(self, sqs: Any, queue: str) -> None:
        self._sqs = sqs
        self._queue = queue
        self.events: list[Json] = []

    async def until(self, kind: str) -> Json:
        while not (found := [event for event in self.events if event["type"] == kind]):
            answer = await self._sqs.receive_message(QueueUrl=self._queue, MaxNumberOfMessages=10, WaitTimeSeconds=1)
            for message in answer.get("Messages", []):
                self.events.append(json.loads(message["Body"])["detail"])
                await self._sqs.delete_message(QueueUrl=self._queue, ReceiptHandle=message["ReceiptHandle"])
        return found[-1]

    @property
    def facts(self) -> list[int]:
        return sorted({event["fact"] for event in self.events if "fact" in event})


@asynccontextmanager
async def journal_of(settings: Settings) -> AsyncIterator[Journal]:
    queue = (await provision(settings)).events_queue_url
    async with open_client("sqs", settings) as sqs:
        await sqs.purge_queue(QueueUrl=queue)
        yield Journal(sqs, queue)


def approving(blocked: Json) -> Decision:
    return Decision(kind="approved", block_id=blocked["id"], plan_sha256=blocked["plan_sha256"], by="ada")


async def test_a_killed_runtime_goes_on_from_its_checkpoint_to_work_that_is_handed_in(
    session: Session, settings: Settings, asked: Asked, repository: Path, tmp_path: Path, scratch: Path
) -> None:
    address = repository.as_uri()
    async with journal_of(settings) as journal:
        await session.invoke(asked(1, repository=address))
        blocked = await journal.until("workflow_blocked")
        await session.kill()
        decision, key = approving(blocked), "77" * 32
        more: Json = {"decision": decision, "highest_fact": blocked["fact"], "signing_key": key}
        await session.invoke(asked(2, repository=address, **more))
        completed = await journal.until("workflow_completed")
        handed_in = await journal.until("work_handed_in")
    assert completed["result"] == "success"
    assert journal.facts == list(range(1, completed["fact"] + 1))
    keys = {1: bytes.fromhex(asked(1).signing_key), 2: bytes.fromhex(key)}
    assert all(verify(event, keys[event["attempt"]]) for event in journal.events)
    ordinals = sorted(e["ordinal"] for e in journal.events if e["attempt"] == 2 and "ordinal" in e)
    assert ordinals == list(range(1, len(ordinals) + 1))
    await session.idle()
    assert list(scratch.glob(f"amelia-{asked(1).workflow_id}*")) == []
    async with open_client("s3", settings) as s3:
        claim = handed_in["bundle"]
        bundle = await S3Objects(s3, settings.bucket).get(ClaimCheck(**claim))
    (tmp_path / "work.bundle").write_bytes(bundle)
    told = subprocess.run(
        ["git", "bundle", "verify", str(tmp_path / "work.bundle")], cwd=repository, capture_output=True, text=True
    )
    assert told.returncode == 0, told.stderr
    log = await session.kill()
    assert '"attempt":"2"' in log
    assert key not in log
    assert asked(1).signing_key not in log


async def test_a_plan_that_is_sent_back_is_planned_again_in_the_same_session(
    session: Session, settings: Settings, asked: Asked, repository: Path
) -> None:
    address = repository.as_uri()
    async with journal_of(settings) as journal:
        await session.invoke(asked(1, repository=address))
        first = await journal.until("workflow_blocked")
        await session.idle()
        decision = replace(approving(first), kind="revised", feedback="Only greet.")
        journal.events.clear()
        await session.invoke(asked(2, repository=address, decision=decision, highest_fact=first["fact"]))
        second = await journal.until("workflow_blocked")
        await session.idle()
        journal.events.clear()
        left, spent = Left(tokens=1), {1: Money(input_tokens=1)}
        more: Json = {"decision": approving(second), "highest_fact": second["fact"], "left": left, "spent": spent}
        await session.invoke(asked(3, repository=address, **more))
        reached = await journal.until("budget_reached")
        await session.idle()
        assert (await session.invoke(asked(3, purpose="ask")))["outcome"] == "idle"
    assert first["plan_sha256"] != second["plan_sha256"]
    assert second["plan"]["tasks"][0]["title"] == "Only greet"
    assert first["estimated_microdollars"] > 0
    assert reached["spent"]["input_tokens"] > 1, (
        "what the checkpoint knows counts, though the journal has not heard of it"
    )


async def test_facts_are_said_again_by_a_fresh_process_of_the_same_attempt(
    session: Session, settings: Settings, asked: Asked, repository: Path
) -> None:
    address = repository.as_uri()
    async with journal_of(settings) as journal:
        await session.invoke(asked(1, repository=address))
        await journal.until("workflow_blocked")
        await session.idle()
        first = journal.facts
        await session.kill()
        journal.events.clear()
        await session.invoke(asked(1, repository=address, highest_fact=1, highest_ordinal=50))
        await journal.until("workflow_blocked")
        await session.idle()
    assert journal.facts == first[1:]


async def test_a_repository_that_does_not_clone_is_said_and_then_the_session_is_idle(
    session: Session, settings: Settings, asked: Asked, tmp_path: Path
) -> None:
    async with journal_of(settings) as journal:
        await session.invoke(asked(1, repository=(tmp_path / "nowhere").as_uri()))
        completed = await journal.until("workflow_completed")
    assert completed["result"] == "failed"
    assert completed["blame"] == "repository"
    assert "nowhere" in completed["cause"]
    await session.idle()


async def test_what_failed_is_tried_again_and_begun_anew_from_checkpoints_of_its_own(
    session: Session, settings: Settings, asked: Asked, repository: Path, tmp_path: Path
) -> None:
    address = (tmp_path / "later").as_uri()
    async with journal_of(settings) as journal:
        await session.invoke(asked(1, repository=address))
        failed = await journal.until("workflow_completed")
        await session.idle()
        repository.rename(tmp_path / "later")
        await session.invoke(asked(2, repository=address, highest_fact=failed["fact"], retries=1))
        blocked = await journal.until("workflow_blocked")
        await session.idle()
        journal.events.clear()
        anew = {"generation": 1, "retries": 1, "highest_fact": blocked["fact"]}
        await session.invoke(asked(3, repository=address, **anew))
        again = await journal.until("workflow_blocked")
        await session.idle()
    assert journal.facts == list(range(blocked["fact"] + 1, again["fact"] + 1))
    first = min((event for event in journal.events if "fact" in event), key=lambda event: event["fact"])
    assert first["type"] == "workflow_started"
    assert again["plan_sha256"] == blocked["plan_sha256"]
    assert again["id"] != blocked["id"]


async def test_a_session_that_is_stopped_ends_and_another_process_takes_its_work_up(
    session: Session, settings: Settings, asked: Asked, repository: Path
) -> None:
    address = repository.as_uri()
    async with journal_of(settings) as journal:
        await session.invoke(asked(1, repository=address))
        await journal.until("workflow_started")
        await session.stop()
        await session.until(lambda views: not views)
        await session.invoke(asked(2, repository=address))
        blocked = await journal.until("workflow_blocked")
    assert blocked["attempt"] in (1, 2)
    assert journal.facts == list(range(1, blocked["fact"] + 1))


async def test_a_newer_attempt_in_the_same_process_silences_the_older_one(
    session: Session, settings: Settings, asked: Asked, repository: Path
) -> None:
    address = repository.as_uri()
    async with journal_of(settings) as journal:
        await session.invoke(asked(1, repository=address))
        await session.invoke(asked(2, repository=address))
        assert (await session.invoke(asked(1, repository=address)))["outcome"] == "superseded"
        blocked = await journal.until("workflow_blocked")
        await session.idle()
    assert blocked["attempt"] == 2
