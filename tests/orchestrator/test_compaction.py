"""A conversation stays within what its model can read, and loses nothing it needs to go on."""

import asyncio
import contextlib
from collections.abc import Callable
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import msgspec
import pytest

from amelia.contract import events as e
from amelia.contract.envelope import Event
from amelia.contract.plan import Task
from amelia.contract.workflow import Note
from amelia.drivers.base import Label, Message, Request, Text, ToolCall, ToolResult, Turn, Usage
from amelia.errors import Refused
from amelia.orchestrator.account import Account
from amelia.orchestrator.agents.summing import digest, is_due, is_too_long, summarised
from amelia.orchestrator.agents.transcript import Summary, Transcript
from amelia.orchestrator.agents.trim import covered, shown, size, trimmed
from amelia.orchestrator.agents.window import LEAST, density, limits_for, window
from amelia.orchestrator.job import Limits
from amelia.orchestrator.live import Live

if TYPE_CHECKING:
    from tests.orchestrator.conftest import World

MakeTask = Callable[..., Task]
LABEL = Label(workflow_id="wf-1", issue="X-1", agent="developer", task="fix")
MOST = 40_000


def talked(turns: int, *, result: int = 5_000, argument: int = 10) -> tuple[Message, ...]:
    messages = [Message("user", (Text("the task"),))]
    for n in range(turns):
        messages.append(Message("assistant", (Text(f"turn {n}"), ToolCall(f"c{n}", "run", {"x": "a" * argument}))))
        messages.append(Message("user", (ToolResult(f"c{n}", f"{n % 10}" * result),)))
    return tuple(messages)


def total(messages: tuple[Message, ...]) -> int:
    return sum(map(size, messages))


def test_old_output_gives_way_and_the_beginning_stays_the_same_for_many_turns() -> None:
    all_ = talked(100, result=1_000)
    sent = [trimmed(all_[: 1 + 2 * n], MOST) for n in range(1, 101)]
    assert all(total(messages) <= MOST + 1_000 for messages in sent)
    assert all(messages[-1] == all_[2 * n] for n, messages in enumerate(sent, 1)), "the newest is whole"
    kept = sum(after[: len(before) - 1] == before[:-1] for before, after in pairwise(sent))
    assert kept >= 85, "a service's cache of the beginning holds"


def test_a_newest_turn_that_is_too_large_by_itself_loses_the_middles_of_its_longest_results() -> None:
    calls = tuple(ToolCall(f"c{n}", "read_file", {}) for n in range(20))
    results = tuple(ToolResult(f"c{n}", "x" * (20_000 if n else 50)) for n in range(20))
    messages = (Message("user", (Text("go"),)), Message("assistant", calls), Message("user", results))
    sent = trimmed(messages, MOST)
    assert total(sent) < MOST * 1.3
    first, second, *_ = sent[-1].parts
    assert isinstance(first, ToolResult) and isinstance(second, ToolResult)
    assert first.content == "x" * 50
    assert "elided" in second.content


def test_a_summary_is_due_when_leaving_out_output_is_not_enough() -> None:
    assert not is_due(Transcript(messages=talked(40)), MOST)
    assert is_due(Transcript(messages=talked(40, argument=4_000)), MOST)
    assert not is_due(Transcript(messages=talked(1, argument=400_000)), MOST), "nothing a summary could stand for"


def test_what_a_summary_covers_leaves_whole_turns_that_begin_with_the_model() -> None:
    messages = talked(20, argument=3_000, result=500)
    upto = covered(messages, MOST)
    assert messages[upto].role == "assistant"
    assert 0 < total(messages[upto:]) <= MOST // 4
    assert covered(talked(3, argument=50_000), MOST) == 5, "the newest turn is never covered"


async def test_a_summary_stands_for_what_it_covers_and_people_are_not_forgotten() -> None:
    asked: list[tuple[Label, tuple[Message, ...]]] = []

    async def ask(label: Label, messages: tuple[Message, ...]) -> Turn:
        asked.append((label, messages))
        words = Message("assistant", (Text("calc.py line 2 is wrong"),))
        return Turn(message=words, usage=Usage(input_tokens=7), stop="end")

    note = Note(id="n", text="no new files", by="rosa")
    said = Transcript(messages=talked(20, argument=4_000), turns=20, notes=(note,))
    after = await summarised(said, MOST, LABEL, ask)
    [(label, messages)] = asked
    assert (label.agent, label.task, label.round, label.turn) == ("summary", "developer-fix", 1, 1)
    assert messages[0] == said.messages[0]
    assert after.messages == said.messages, "the transcript keeps every word"
    assert after.usage.input_tokens == 7
    sent = shown(after, MOST)
    assert total(sent) < MOST // 2
    assert [message.role for message in sent] == ["user", "assistant"] * (len(sent) // 2) + ["user"]
    beginning = "".join(part.text for part in sent[0].parts if isinstance(part, Text))
    assert beginning.startswith("the task")
    assert "calc.py line 2 is wrong" in beginning and "rosa: no new files" in beginning
    assert not is_due(after, MOST)
    again = await summarised(replace_messages(after, talked(40, argument=4_000)), MOST, LABEL, ask)
    assert [one.upto for one in again.summaries] == sorted({one.upto for one in again.summaries})
    assert asked[1][0].turn == 2


def replace_messages(said: Transcript, messages: tuple[Message, ...]) -> Transcript:
    return msgspec.structs.replace(said, messages=messages)


async def test_a_model_that_writes_no_summary_is_done_without() -> None:
    async def refuse(label: Label, messages: tuple[Message, ...]) -> Turn:
        raise Refused("nothing is written for this")

    said = Transcript(messages=talked(20, argument=4_000), turns=20)
    [summary] = (await summarised(said, MOST, LABEL, refuse)).summaries
    assert summary.text == digest(said.messages[: summary.upto])
    assert "- run(x=aaa" in summary.text


def test_transcripts_of_earlier_versions_are_read() -> None:
    old = b'{"messages":[{"role":"user","parts":[{"type":"text","text":"go"}]}],"turns":3}'
    said = msgspec.json.decode(old, type=Transcript)
    assert shown(said, MOST) == said.messages
    kept = msgspec.structs.replace(said, summaries=(Summary(upto=3, turn=1, text="x"),), density=3_000, tight=1)
    assert msgspec.json.decode(msgspec.json.encode(kept), type=Transcript) == kept


@pytest.mark.parametrize(
    ("model", "tokens"),
    [
        ("claude-sonnet-4-6", 200_000),
        ("global.anthropic.claude-opus-5-5-v1:0", 200_000),
        ("gpt-5-mini", 272_000),
        ("somebody-elses-1", 128_000),
    ],
)
def test_what_a_model_can_read_goes_by_its_family(model: str, tokens: int) -> None:
    assert window(model) == tokens
    assert window(model, 32_000) == 32_000


def test_the_setting_is_checked() -> None:
    assert limits_for({}).context_tokens == 0
    assert limits_for({"AMELIA_CONTEXT_TOKENS": "32000"}).context_tokens == 32_000
    for wrong in ("many", "-1", str(LEAST - 1)):
        with pytest.raises(Refused, match="AMELIA_CONTEXT_TOKENS"):
            limits_for({"AMELIA_CONTEXT_TOKENS": wrong})


def test_how_dense_a_conversation_is_is_what_the_service_counts() -> None:
    request = Request(model="m", system="", messages=(Message("user", (Text("x" * 9_000),)),), label=LABEL)
    assert density(request, Usage(input_tokens=1_000, cache_read_tokens=2_000)) == 3_000
    assert density(request, Usage(input_tokens=1)) == 4_000
    assert density(request, Usage(input_tokens=9_000)) == 2_000


@pytest.mark.parametrize(
    "words",
    [
        "prompt is too long: 210000 tokens > 200000 maximum",
        "This model's maximum context length is 8192 tokens",
        "Input is too long for requested model.",
    ],
)
def test_a_service_that_finds_the_request_too_long_is_understood(words: str) -> None:
    assert is_too_long(Refused(words))
    assert not is_too_long(Refused("the key is wrong"))


def test_the_label_says_which_turn_it_is_when_the_messages_do_not() -> None:
    assert "turn" not in LABEL.encode()
    asked = msgspec.structs.replace(LABEL, turn=12)
    assert Label.decode(asked.encode()) == asked
    assert Label.decode(LABEL.encode()) == LABEL


def long_task(world: "World", make_task: MakeTask) -> None:
    world.plans(make_task("fix"))
    steps: list[dict[str, dict[str, Any]]] = [
        {"write_file": {"path": f"f{n}.py", "content": f"x = {n}\n" * 500}} for n in range(12)
    ]
    world.driver.on("developer", *steps, {"finish_task": {"summary": "wrote them"}}, task="fix")
    world.driver.on("summary", *[f"summary number {n}" for n in range(1, 9)], task="developer-fix")
    world.reviews(approved=True)
    world.limits = Limits(context_tokens=16_000)


async def test_a_long_task_is_summarised_and_goes_on_to_its_end(world: "World", make_task: MakeTask) -> None:
    long_task(world, make_task)
    assert (await world.approved()).result == "success"
    asked = [(agent, number) for agent, _, _, number in world.driver.asked if agent in ("developer", "summary")]
    assert [number for agent, number in asked if agent == "developer"] == list(range(13)), "no turn is lost or doubled"
    summaries = [number for agent, number in asked if agent == "summary"]
    assert summaries and summaries == list(range(len(summaries)))
    files = await world.handed_in()
    assert {f"f{n}.py" for n in range(12)} <= files.keys()
    longest = max(sum(map(size, r.messages)) for r in world.driver.requests if r.label.agent == "developer")
    assert longest < 16_000 * 4
    last = [r for r in world.driver.requests if r.label.agent == "developer"][-1]
    assert f"summary number {len(summaries)}" in repr(last.messages[0])
    assert sum(used.tokens for used in world.spent.values()) == 110 * len(world.driver.asked), "summaries cost too"


async def test_a_crash_after_a_summary_repeats_at_most_one_turn(world: "World", make_task: MakeTask) -> None:
    long_task(world, make_task)
    await world.run()
    decision = world.decided()
    running = asyncio.create_task(world.run(world.job(decision, world.last_fact), epoch=2))

    def look(event: Event) -> None:
        if isinstance(event, e.ToolCompleted) and "summary" in {asked[0] for asked in world.driver.asked}:
            running.cancel()

    world.heard.on_progress = look
    with contextlib.suppress(asyncio.CancelledError):
        await running
    assert running.cancelled()
    assert "summary" in {asked[0] for asked in world.driver.asked}
    world.heard.on_progress = lambda event: None
    live = Live(Account(3))
    ended = await world.run(world.job(decision, world.last_fact), epoch=3, place="elsewhere", live=live)
    assert ended.result == "success"
    assert len(world.driver.asked) - len(set(world.driver.asked)) <= 1


async def test_a_request_that_the_service_finds_too_long_is_sent_shorter(world: "World", make_task: MakeTask) -> None:
    world.seed({"long.txt": "".join(f"line {n} of it\n" for n in range(1_400))})
    world.plans(make_task("fix"))
    reads: list[dict[str, dict[str, Any]]] = [
        {"read_file": {"path": "long.txt", "last_line": 1_400 - n}} for n in range(6)
    ]
    done = [{"write_file": {"path": "calc.py", "content": "a = 1\n"}}, {"finish_task": {"summary": "done"}}]
    world.driver.on("developer", *reads, *done, task="fix")
    world.reviews(approved=True)

    async def small(request: Request) -> None:
        if sum(map(size, request.messages)) > 80_000:
            raise Refused("prompt is too long: 90000 tokens > 20000 maximum")

    world.driver.before = small
    assert (await world.approved()).result == "success"
    refused = [r for r in world.driver.requests if sum(map(size, r.messages)) > 80_000]
    assert 1 <= len(refused) <= 4
