"""The runtime as a container has it: a process of its own, the real orchestrator, the real wire of every neighbour."""

import asyncio
import json
import os
import signal
import subprocess
import sys
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from amelia.adapters.aws.objects import S3Objects
from amelia.adapters.aws.provision import provision
from amelia.adapters.aws.session import open_client
from amelia.contract.invocation import Invocation
from amelia.contract.signature import verify
from amelia.contract.workflow import ClaimCheck, Decision
from amelia.settings import Settings

Asked = Callable[..., Invocation]
Json = dict[str, Any]

CONVERSATION = """
version: 1
conversations:
  - agent: architect
    turns:
      - say: I read it first.
        call: {read_file: {path: src/hello.txt}}
      - call:
          submit_plan:
            summary: Say hello.
            tasks: [{id: greet, title: Say hello, description: Write it., verification: grep -q hello src/hello.txt}]
  - agent: developer
    task: greet
    turns:
      - call: {edit_file: {path: src/hello.txt, old: nothing yet, new: hello}}
      - call: {finish_task: {summary: It says hello.}}
  - agent: reviewer
    turns:
      - call: {submit_review: {approved: true, summary: Fine., comments: []}}
"""


class Container:
    """A runtime's process, and the same again after it was killed."""

    def __init__(self, caller: Any, patient: Any, **environ: str) -> None:
        self._caller = caller
        self._patient = patient
        self._environ = environ
        self.log = ""
        self.start()

    def start(self) -> None:
        command = [sys.executable, "-m", "amelia_runtime"]
        environ = {**os.environ, **self._environ, "PORT": str(self._caller.port)}
        self.process = subprocess.Popen(command, env=environ, stderr=subprocess.PIPE, text=True)
        self._patient(self._answers, "the runtime")

    def _answers(self) -> bool:
        assert self.process.poll() is None
        try:
            return bool(self._caller.ping)
        except OSError:
            return False

    async def idle(self) -> None:
        while await asyncio.to_thread(lambda: self._caller.ping) != "Healthy":
            await asyncio.sleep(0.02)

    async def invoke(self, asked: Invocation) -> Json:
        answer: Json = await asyncio.to_thread(self._caller.invoke, asked)
        return answer

    def end(self, number: signal.Signals) -> int:
        self.process.send_signal(number)
        _, said = self.process.communicate(timeout=30)
        self.log += said
        return self.process.returncode


@pytest.fixture
def container(settings: Settings, tmp_path: Path, start_program: Any, caller: Any, patient: Any) -> Iterator[Container]:
    conversation = tmp_path / "conversation.yaml"
    conversation.write_text(CONVERSATION)
    command = (sys.executable, "-m", "amelia_replay", "--port", "0", "--conversation", str(conversation))
    _, model = start_program(*command, ready=r"listens on (http://\S+)")
    scratch = tmp_path / "scratch"
    scratch.mkdir()
    running = Container(
        caller,
        patient,
        ANTHROPIC_API_KEY="replayed",
        ANTHROPIC_BASE_URL=model,
        AMELIA_AWS_ENDPOINT_URL=settings.aws_endpoint_url,
        AMELIA_AGENTCORE_ENDPOINT_URL=settings.agentcore_endpoint_url,
        TMPDIR=str(scratch),
    )
    try:
        yield running
    finally:
        if running.process.poll() is None:
            running.end(signal.SIGKILL)


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
    container: Container, settings: Settings, asked: Asked, repository: Path, tmp_path: Path
) -> None:
    address = repository.as_uri()
    async with journal_of(settings) as journal:
        await container.invoke(asked(1, repository=address))
        blocked = await journal.until("workflow_blocked")
        container.end(signal.SIGKILL)
        container.start()
        decision, key = approving(blocked), "77" * 32
        more: Json = {"decision": decision, "highest_fact": blocked["fact"], "signing_key": key}
        await container.invoke(asked(2, repository=address, **more))
        completed = await journal.until("workflow_completed")
        handed_in = await journal.until("work_handed_in")
    assert completed["result"] == "success"
    assert journal.facts == list(range(1, completed["fact"] + 1))
    keys = {1: bytes.fromhex(asked(1).signing_key), 2: bytes.fromhex(key)}
    assert all(verify(event, keys[event["attempt"]]) for event in journal.events)
    ordinals = sorted(e["ordinal"] for e in journal.events if e["attempt"] == 2 and "ordinal" in e)
    assert ordinals == list(range(1, len(ordinals) + 1))
    await container.idle()
    assert list((tmp_path / "scratch").glob("amelia-*")) == []
    async with open_client("s3", settings) as s3:
        claim = handed_in["bundle"]
        bundle = await S3Objects(s3, settings.bucket).get(ClaimCheck(**claim))
    (tmp_path / "work.bundle").write_bytes(bundle)
    told = subprocess.run(
        ["git", "bundle", "verify", str(tmp_path / "work.bundle")], cwd=repository, capture_output=True, text=True
    )
    assert told.returncode == 0, told.stderr
    container.end(signal.SIGTERM)
    assert key not in container.log
    assert asked(1).signing_key not in container.log


async def test_facts_are_said_again_by_a_fresh_process_of_the_same_attempt(
    container: Container, settings: Settings, asked: Asked, repository: Path
) -> None:
    address = repository.as_uri()
    async with journal_of(settings) as journal:
        await container.invoke(asked(1, repository=address))
        await journal.until("workflow_blocked")
        await container.idle()
        first = journal.facts
        container.end(signal.SIGKILL)
        container.start()
        journal.events.clear()
        await container.invoke(asked(1, repository=address, highest_fact=1, highest_ordinal=50))
        await journal.until("workflow_blocked")
        await container.idle()
    assert journal.facts == first[1:]


async def test_a_repository_that_does_not_clone_is_said_and_then_the_session_is_idle(
    container: Container, settings: Settings, asked: Asked, tmp_path: Path
) -> None:
    async with journal_of(settings) as journal:
        await container.invoke(asked(1, repository=(tmp_path / "nowhere").as_uri()))
        completed = await journal.until("workflow_completed")
    assert completed["result"] == "failed"
    assert "nowhere" in completed["cause"]
    await container.idle()


async def test_asked_to_stop_it_ends_with_what_it_has_said_on_the_bus(
    container: Container, settings: Settings, asked: Asked, repository: Path
) -> None:
    async with journal_of(settings) as journal:
        await container.invoke(asked(1, repository=repository.as_uri()))
        await journal.until("workflow_started")
        assert await asyncio.to_thread(container.end, signal.SIGTERM) in (0, -signal.SIGTERM)
