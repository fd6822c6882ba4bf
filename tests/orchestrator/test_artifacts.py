"""What a run leaves to look at, and whose the tokens were."""

import asyncio
from collections.abc import Callable
from typing import TYPE_CHECKING

import msgspec
import pytest

from amelia.contract import events as e
from amelia.contract.envelope import Event
from amelia.contract.plan import Plan, Task, plan_sha256
from amelia.contract.workflow import Money, Profile
from amelia.domain.usage import usage_view
from amelia.orchestrator.agents.lines import Answered, Asked, Closed, Line, Opened

if TYPE_CHECKING:
    from tests.orchestrator.conftest import World

MakeTask = Callable[..., Task]
TURN = Money(input_tokens=100, output_tokens=10, cost_microdollars=100 * 3 + 10 * 15)


async def artifacts(world: "World") -> dict[str, bytes]:
    return {fact.name: await world.objects.get(fact.claim) for fact in world.heard.of(e.ArtifactStored)}


def lines_of(data: bytes) -> list[Line]:
    return [msgspec.json.decode(line, type=Line) for line in data.splitlines()]


async def test_a_workflow_leaves_its_plan_conversations_reports_and_work(world: "World", make_task: MakeTask) -> None:
    world.plans(make_task("fix", verification="echo it is right"), test_command="echo all is well")
    world.develops("fix", "calc.py", "a = 1\n")
    world.reviews(approved=True)
    assert (await world.approved()).result == "success"
    kept = await artifacts(world)
    assert set(kept) == {
        *("plan-1.json", "transcript-architect-1.jsonl"),
        *("transcript-developer-fix-1.jsonl", "tests-developer-fix-1.txt"),
        *("transcript-reviewer-1.jsonl", "tests-reviewer-1.txt", "work.bundle", "work.diff"),
    }
    plan = msgspec.json.decode(kept["plan-1.json"], type=Plan)
    assert plan_sha256(plan) == world.heard.of(e.WorkflowBlocked)[0].plan_sha256
    assert kept["tests-developer-fix-1.txt"] == b"$ echo it is right\nexit code 0\nit is right\n"
    assert b"$ echo all is well\nexit code 0\nall is well" in kept["tests-reviewer-1.txt"]
    assert kept["work.diff"] == await world.objects.get(world.heard.of(e.WorkHandedIn)[0].diff)


async def test_a_transcript_has_every_request_and_every_answer_in_order(world: "World", make_task: MakeTask) -> None:
    world.plans(make_task("fix"))
    await world.run()
    first, *turns, last = lines_of((await artifacts(world))["transcript-architect-1.jsonl"])
    assert isinstance(first, Opened)
    assert (first.agent, first.task, first.round, first.issue) == ("architect", "", 1, "GH-1")
    assert first.system == world.driver.requests[0].system
    assert first.tools == world.driver.requests[0].tools
    asked = [line for line in turns if isinstance(line, Asked)]
    answered = [line for line in turns if isinstance(line, Answered)]
    assert [line.turn for line in answered] == [1, 2]
    assert asked[0].parts == world.driver.requests[0].messages[0].parts
    assert asked[1].parts == world.driver.requests[1].messages[-1].parts
    assert (answered[0].model, answered[0].usage.input_tokens, answered[0].stop) == (world.model, 100, "tool_calls")
    assert isinstance(last, Closed)
    assert (last.outcome, msgspec.json.decode(last.answer, type=Plan).summary) == ("accepted", "Add adds.")


async def test_a_conversation_that_fails_leaves_its_transcript_with_the_cause(world: "World") -> None:
    world.driver.on("architect", *[{"submit_plan": {"summary": "s", "tasks": []}}] * 3)
    await world.run()
    last = lines_of((await artifacts(world))["transcript-architect-1.jsonl"])[-1]
    assert isinstance(last, Closed)
    assert (last.outcome, "was not accepted in 3 attempts" in last.cause) == ("failed", True)


async def test_what_was_made_before_a_crash_is_announced_by_the_attempt_that_ends_the_step(
    world: "World", make_task: MakeTask
) -> None:
    world.plans(make_task("fix", verification="test -e done"))
    finish = {"finish_task": {"summary": "done"}}
    write = {"write_file": {"path": "done", "content": "x"}}
    world.driver.on("developer", finish, write, finish, task="fix")
    world.reviews(approved=True)
    await world.run()
    reached = asyncio.Event()

    def at_the_write(event: Event) -> None:
        if isinstance(event, e.ToolCalled) and event.tool == "write_file":
            reached.set()

    world.heard.on_progress = at_the_write
    running = asyncio.create_task(world.run(world.job(world.decided(), world.gate), epoch=2))
    await reached.wait()
    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running
    world.heard.on_progress = lambda event: None
    assert (
        await world.run(world.job(world.decided(), world.last_fact), epoch=3, place="elsewhere")
    ).result == "success"
    kept = await artifacts(world)
    assert b"exit code 0" in kept["tests-developer-fix-1.txt"]
    turns = [line for line in lines_of(kept["transcript-developer-fix-1.jsonl"]) if isinstance(line, Answered)]
    assert [line.turn for line in turns] == [1, 2, 3]
    shares = shared(world)
    assert shares["developer", "fix"].input_tokens in (300, 400), "the turn that was cut may be asked for twice"
    assert sum(money.input_tokens for money in shares.values()) == sum(m.input_tokens for m in world.spent.values())


def shared(world: "World") -> dict[tuple[str, str], Money]:
    view = usage_view(world.workflow_id, world.spent, world.heard.of(e.TokensUsed))
    return {(share.agent, share.task_id): share.used for share in view.shares}


async def test_tokens_are_told_by_agent_task_and_model(world: "World", make_task: MakeTask) -> None:
    world.plans(make_task("one"), make_task("two"))
    world.develops("one", "one.py", "a = 1\n")
    world.develops("two", "two.py", "a = 2\n")
    world.reviews(approved=True)
    await world.approved()
    assert shared(world) == {
        ("architect", ""): times(2),
        ("developer", "one"): times(3),
        ("developer", "two"): times(3),
        ("reviewer", ""): times(1),
    }
    assert {share.model for fact in world.heard.of(e.TokensUsed) for share in fact.shares} == {world.model}


def times(number: int) -> Money:
    return Money(**{name: getattr(TURN, name) * number for name in Money.__struct_fields__})


async def test_reviewers_beside_each_other_have_a_transcript_each_and_one_report(
    world: "World", make_task: MakeTask
) -> None:
    world.profile = Profile(strategy="competitive")
    world.plans(make_task("fix"), test_command="echo all is well")
    world.develops("fix", "calc.py", "a = 1\n")
    for focus in ("security", "performance", "usability"):
        verdict = {"approved": True, "summary": "seen", "comments": []}
        world.driver.on("reviewer", {"submit_review": verdict}, task=focus)
    assert (await world.approved()).result == "success"
    names = [fact.name for fact in world.heard.of(e.ArtifactStored)]
    for focus in ("security", "performance", "usability"):
        assert f"transcript-reviewer-{focus}-1.jsonl" in names
    assert [name for name in names if name.startswith("tests-")] == ["tests-reviewer-1.txt"]
    assert {agent_task for agent_task in shared(world) if agent_task[0] == "reviewer"} == {
        ("reviewer", "security"),
        ("reviewer", "performance"),
        ("reviewer", "usability"),
    }


async def test_the_whole_output_of_a_command_is_kept_under_a_name_the_agent_is_told(
    world: "World", make_task: MakeTask
) -> None:
    world.plans(make_task("fix"))
    long = {"run_command": {"command": 'python3 -c \'print("x" * 99999 + "end")\''}}
    write = {"write_file": {"path": "calc.py", "content": "a = 1\n"}}
    world.driver.on("developer", long, write, {"finish_task": {"summary": "done"}}, task="fix")
    world.reviews(approved=True)
    assert (await world.approved()).result == "success"
    assert (await artifacts(world))["output-developer-fix-1-1.txt"] == b"x" * 99_999 + b"end\n"
    [told] = world.driver.requests[3].messages[-1].parts
    assert "output-developer-fix-1-1.txt" in str(told)
    assert len(str(told)) < 40_000


async def test_the_diff_of_the_work_has_binary_files_and_what_the_reviewer_reads_has_not(
    world: "World", make_task: MakeTask
) -> None:
    world.seed({"logo.bin": "\0old\n"})
    world.plans(make_task("fix"))
    world.driver.on(
        "developer",
        {"run_command": {"command": "printf '\\0new\\n' > logo.bin"}},
        {"finish_task": {"summary": "drew it"}},
        task="fix",
    )
    world.reviews(approved=True)
    assert (await world.approved()).result == "success"
    assert b"\nGIT binary patch\n" in (await artifacts(world))["work.diff"]
    read = repr(next(request for request in world.driver.requests if request.label.agent == "reviewer"))
    assert "Binary files a/logo.bin and b/logo.bin differ" in read
    assert "GIT binary patch" not in read
