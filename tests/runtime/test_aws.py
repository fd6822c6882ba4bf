import asyncio
import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import ClientError, EndpointConnectionError, ReadTimeoutError

from amelia.adapters.aws.bus import MAX_BYTES, EventBus, batches
from amelia.adapters.aws.objects import S3Objects
from amelia.adapters.aws.provision import provision
from amelia.adapters.aws.session import maybe_arrived, open_client, origin, translate, translated
from amelia.errors import AmeliaError, Malformed, NotFound, Refused, Unavailable
from amelia.ports.queues import Announcement
from amelia.settings import Settings

DEAD = "http://127.0.0.1:9"


@pytest.fixture
async def objects(settings: Settings) -> AsyncIterator[S3Objects]:
    await provision(settings)
    async with open_client("s3", settings) as client:
        yield S3Objects(client, settings.bucket)


async def test_an_object_is_found_under_its_content_and_verified(objects: S3Objects) -> None:
    claim = await objects.put("wf-1/plan", b"a plan")
    assert claim.key == f"wf-1/plan/{claim.sha256}"
    assert await objects.get(claim) == b"a plan"
    assert await objects.put("wf-1/plan", b"a plan") == claim


async def test_a_file_is_stored_like_its_bytes(objects: S3Objects, tmp_path: Path) -> None:
    path = tmp_path / "work.bundle"
    path.write_bytes(b"\x00bundle" * 100_000)
    claim = await objects.put_file("wf-1/bundle/", path)
    assert claim == await objects.put("wf-1/bundle", path.read_bytes())
    assert await objects.get(claim) == path.read_bytes()


@pytest.mark.parametrize("altered", [b"a plam", b"a plan and more", b""])
async def test_an_altered_object_is_malformed(objects: S3Objects, altered: bytes) -> None:
    claim = await objects.put("wf-2/plan", b"a plan")
    await objects.write(claim.key, altered)
    with pytest.raises(Malformed, match="altered"):
        await objects.get(claim)


async def test_a_named_object_can_be_replaced_and_may_be_missing(objects: S3Objects) -> None:
    assert await objects.read("wf-3/transcript") is None
    await objects.write("wf-3/transcript", b"one")
    await objects.write("wf-3/transcript", b"two")
    assert await objects.read("wf-3/transcript") == b"two"
    claim = await objects.put("wf-3/x", b"x")
    with pytest.raises(NotFound, match="NoSuchKey"):
        await objects.get(type(claim)(key="wf-3/y", size=1, sha256=claim.sha256))


def announcement(number: int, size: int = 10) -> Announcement:
    body = json.dumps({"number": number, "text": "x" * size}).encode()
    return Announcement(type="agent_message", body=body)


async def test_what_is_published_reaches_the_queue_behind_the_rule(settings: Settings) -> None:
    queue = (await provision(settings)).events_queue_url
    async with open_client("events", settings) as events, open_client("sqs", settings) as sqs:
        bus = EventBus(events, bus=settings.event_bus, source=settings.event_source)
        other = EventBus(events, bus=settings.event_bus, source="somebody.else")
        await other.publish([announcement(99)])
        await bus.publish([announcement(n) for n in range(25)])
        got: set[int] = set()
        while len(got) < 25:
            answer = await sqs.receive_message(QueueUrl=queue, MaxNumberOfMessages=10, WaitTimeSeconds=1)
            for message in answer.get("Messages", []):
                event = json.loads(message["Body"])
                assert event["detail-type"] == "agent_message"
                assert event["source"] == settings.event_source
                got.add(event["detail"]["number"])
                await sqs.delete_message(QueueUrl=queue, ReceiptHandle=message["ReceiptHandle"])
    assert got == set(range(25))


class Answers:
    """An EventBridge that fails entries as it is told, call by call: number to error code."""

    def __init__(self, *calls: dict[int, str]) -> None:
        self.calls = list(calls)
        self.sent: list[list[int]] = []

    async def put_events(self, Entries: list[dict[str, str]]) -> dict[str, Any]:  # noqa: N803 - AWS's name
        numbers = [json.loads(entry["Detail"])["number"] for entry in Entries]
        self.sent.append(numbers)
        failing = self.calls.pop(0) if self.calls else {}
        answered = [
            {"ErrorCode": failing[n], "ErrorMessage": "no"} if n in failing else {"EventId": "e"} for n in numbers
        ]
        return {"FailedEntryCount": len(failing), "Entries": answered}


async def test_only_what_failed_in_passing_is_sent_again() -> None:
    answers = Answers({2: "InternalFailure", 4: "ThrottlingException"}, {4: "InternalFailure"})
    await EventBus(answers, bus="b", source="s").publish([announcement(n) for n in range(6)])
    assert answers.sent == [[0, 1, 2, 3, 4, 5], [2, 4], [4]]


async def test_what_keeps_failing_is_unavailable() -> None:
    answers = Answers(*[{0: "ThrottlingException"}] * 3)
    with pytest.raises(Unavailable, match="kept back 1 events 3 times"):
        await EventBus(answers, bus="b", source="s", attempts=3).publish([announcement(0)])


async def test_what_the_bus_will_never_take_is_refused() -> None:
    answers = Answers({1: "NotAuthorizedForDetailTypeException"})
    with pytest.raises(Refused, match="does not take a agent_message: NotAuthorized"):
        await EventBus(answers, bus="b", source="s").publish([announcement(0), announcement(1)])


async def test_a_bus_that_is_away_is_unavailable_at_once() -> None:
    async with open_client("events", Settings(aws_endpoint_url=DEAD)) as client:
        with pytest.raises(Unavailable, match="publishing 1 events on b: Could not connect"):
            await EventBus(client, bus="b", source="s").publish([announcement(0)])


def test_a_batch_has_at_most_ten_entries_and_the_bytes_that_fit() -> None:
    assert [len(batch) for batch in batches([announcement(n) for n in range(21)])] == [10, 10, 1]
    large = [announcement(n, MAX_BYTES // 3) for n in range(5)]
    assert [len(batch) for batch in batches(large)] == [2, 2, 1]
    assert [len(batch) for batch in batches([announcement(0, 2 * MAX_BYTES), announcement(1)])] == [1, 1]
    assert list(batches([])) == []


def client_error(code: str, status: int) -> ClientError:
    answer: Any = {"Error": {"Code": code, "Message": "told\nso."}, "ResponseMetadata": {"HTTPStatusCode": status}}
    return ClientError(answer, "Operation")


@pytest.mark.parametrize(
    ("code", "status", "kind"),
    [
        ("ThrottlingException", 400, Unavailable),
        ("ThrottledException", 429, Unavailable),
        ("ServiceQuotaExceededException", 402, Unavailable),
        ("RetryableConflictException", 409, Unavailable),
        ("RuntimeClientError", 424, Unavailable),
        ("InternalServerException", 500, Unavailable),
        ("SlowDown", 503, Unavailable),
        ("ExpiredToken", 403, Unavailable),
        ("NoSuchKey", 404, NotFound),
        ("AWS.SimpleQueueService.NonExistentQueue", 400, NotFound),
        ("ResourceNotFoundException", 400, NotFound),
        ("AccessDeniedException", 403, Refused),
        ("ValidationException", 400, Refused),
    ],
)
def test_an_error_of_aws_says_what_to_do_next(code: str, status: int, kind: type[AmeliaError]) -> None:
    error = translate(client_error(code, status), "doing it")
    assert type(error) is kind
    assert str(error).startswith(f"doing it: AWS answered {status} {code}: told so;")
    with pytest.raises(kind) as raised, translated("doing it"):
        raise client_error(code, status)
    assert origin(raised.value) == (code, status)


@pytest.mark.parametrize(
    ("error", "arrived"),
    [
        (EndpointConnectionError(endpoint_url="http://x"), False),
        (ReadTimeoutError(endpoint_url="http://x"), True),
        (client_error("ThrottledException", 429), False),
        (client_error("RuntimeClientError", 424), True),
        (ConnectionRefusedError(), False),
        (ConnectionResetError(), True),
    ],
)
def test_a_request_that_may_have_arrived_is_told_from_one_that_has_not(error: Exception, arrived: bool) -> None:
    assert maybe_arrived(error) is arrived
    with pytest.raises(AmeliaError) as raised, translated("doing it"):
        raise error
    assert maybe_arrived(raised.value) is arrived


async def test_an_emulator_is_never_sent_real_credentials(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "AKIAREAL")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "real")
    seen: asyncio.Future[bytes] = asyncio.get_running_loop().create_future()

    async def listen(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        seen.set_result(await reader.readuntil(b"\r\n\r\n"))
        writer.close()

    async with await asyncio.start_server(listen, "127.0.0.1", 0) as server:
        address = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
        async with open_client("events", Settings(aws_endpoint_url=address)) as client:
            with pytest.raises(Unavailable):
                await EventBus(client, bus="b", source="s").publish([announcement(0)])
    request = await seen
    assert b"Credential=test/" in request
    assert b"AKIAREAL" not in request
