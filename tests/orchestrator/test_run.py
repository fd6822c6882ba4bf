"""A workflow from the issue to the work handed in, and its other ends."""

from collections.abc import Callable
from typing import TYPE_CHECKING

import pytest

from amelia.contract import events as e
from amelia.contract.plan import Task, plan_sha256
from amelia.orchestrator.account import Account
from amelia.orchestrator.live import Live
from amelia.orchestrator.site import RepositoryAway
from amelia.workspace import clone as cloning
from amelia.workspace.sandbox import weakness

if TYPE_CHECKING:
    from tests.orchestrator.conftest import World

MakeTask = Callable[..., Task]


async def test_an_approved_plan_becomes_work_that_is_handed_in(world: "World", make_task: MakeTask) -> None:
    fix = make_task("fix", verification="python3 -c 'import calc; assert calc.add(1, 1) == 2'")
    world.plans(fix, make_task("docs", "fix"))
    world.develops("fix", "calc.py", "def add(a, b):\n    return a + b\n")
    world.develops("docs", "README.md", "calc adds\n")
    world.reviews(approved=True)
    ended = await world.approved()
    assert (ended.state, ended.result, ended.cause) == ("finished", "success", "")
    assert await world.handed_in() == {"calc.py": "def add(a, b):\n    return a + b", "README.md": "calc adds"}
    work = world.heard.of(e.WorkHandedIn)[0]
    log = world.git(
        "log",
        "--format=%an|%s|%(trailers:key=Amelia-Task,valueonly,separator=%x2C)",
        f"{work.base_commit}..{work.commit}",
    )
    assert log.splitlines() == ["Amelia|Do docs|docs", "Amelia|Do fix|fix"]
    assert work.plan_sha256 == plan_sha256(world.heard.of(e.WorkflowBlocked)[0].plan)
    assert b"return a + b" in await world.objects.get(work.diff)


async def test_facts_are_dense_and_say_what_begins_before_what_ends(world: "World", make_task: MakeTask) -> None:
    world.plans(make_task("fix"))
    world.develops("fix", "calc.py", "def add(a, b):\n    return a + b\n")
    world.reviews(approved=True)
    ended = await world.approved()
    assert [fact.fact for fact in world.heard.told] == list(range(1, ended.last_fact + 1))
    assert world.heard.types == [
        *("workflow_started", "agent_started", "agent_completed", "tokens_used", *stored(2), "workflow_blocked"),
        *("task_started", "agent_started", "task_completed", "agent_completed", "tokens_used", *stored(1)),
        *("agent_started", "review_completed", "agent_completed", "tokens_used", *stored(1)),
        *(*stored(2), "work_handed_in", "workflow_completed"),
    ]
    assert all(fact.id and fact.timestamp.endswith("Z") for fact in world.heard.told)


def stored(number: int) -> tuple[str, ...]:
    return ("artifact_stored",) * number


async def test_usage_counts_from_zero_in_every_attempt(world: "World", make_task: MakeTask) -> None:
    world.plans(make_task("fix"))
    world.develops("fix", "calc.py", "x = 1\n")
    world.reviews(approved=True)
    await world.approved()
    assert [fact.used.input_tokens for fact in world.heard.of(e.TokensUsed)] == [200, 300, 400]
    assert world.heard.of(e.TokensUsed)[0].used.cost_microdollars == 200 * 3 + 20 * 15


async def test_a_rejected_plan_ends_the_workflow_with_who_and_why(world: "World", make_task: MakeTask) -> None:
    world.plans(make_task("fix"))
    await world.run()
    ended = await world.run(world.job(world.decided("rejected"), world.last_fact), epoch=2)
    assert (ended.result, ended.cause) == ("failed", "the plan was rejected by rosa: no time")
    assert "task_started" not in world.heard.types


async def test_a_decision_about_another_plan_decides_nothing(world: "World", make_task: MakeTask) -> None:
    import msgspec

    world.plans(make_task("fix"))
    await world.run()
    other = msgspec.structs.replace(world.decided(), plan_sha256="0" * 64)
    assert (await world.run(world.job(other, world.last_fact), epoch=2)).state == "blocked"
    assert world.heard.types[-1] == "workflow_blocked"


async def test_a_plan_that_breaks_the_rules_goes_back_to_the_architect(world: "World", make_task: MakeTask) -> None:
    bad = {"summary": "s", "tasks": [{"id": "a", "title": "A", "description": "", "dependencies": ["b"]}]}
    good = {"summary": "s", "tasks": [{"id": "a", "title": "A", "description": ""}]}
    world.driver.on("architect", {"submit_plan": {"tasks": 1}}, {"submit_plan": bad}, {"submit_plan": good})
    assert (await world.run()).state == "blocked"
    told = [str(part) for request in world.driver.requests for part in request.messages[-1].parts]
    assert any("which is no task of the plan" in text for text in told)
    assert any("do not fit" in text for text in told)


async def test_three_bad_plans_end_the_workflow_with_their_reason(world: "World") -> None:
    world.driver.on("architect", *[{"submit_plan": {"summary": "s", "tasks": []}}] * 3)
    ended = await world.run()
    assert ended.result == "failed"
    assert "the plan has no tasks" in ended.cause
    assert world.heard.types[-4:] == ["agent_completed", "tokens_used", "artifact_stored", "workflow_completed"]


async def test_a_review_sends_work_back_and_the_next_one_hands_it_in(world: "World", make_task: MakeTask) -> None:
    world.plans(make_task("fix"), test_command="grep -q a calc.py")
    world.develops("fix", "calc.py", "a = 1\n")
    world.reviews(approved=False)
    world.develops("review", "more.py", "a = 2\n", round=2)
    world.reviews(approved=True, round=2)
    assert (await world.approved()).result == "success"
    assert (await world.handed_in())["more.py"] == "a = 2"
    assert [(v.round, v.verdict.approved) for v in world.heard.of(e.ReviewCompleted)] == [(1, False), (2, True)]
    assert [(t.task_id, t.round) for t in world.heard.of(e.TaskStarted)] == [("fix", 1), ("review", 2)]


async def test_a_failed_task_skips_what_depends_on_it_and_names_itself(world: "World", make_task: MakeTask) -> None:
    world.plans(
        make_task("bad", verification="exit 3"),
        make_task("after", "bad"),
        make_task("later", "after"),
        make_task("free"),
    )
    write = {"write_file": {"path": "half.py", "content": "half\n"}, "finish_task": {"summary": "done, I say"}}
    again = {"finish_task": {"summary": "again"}}
    world.driver.on("developer", write, again, again, task="bad")
    world.develops("free", "free.py", "free = 1\n")
    ended = await world.approved()
    assert ended.result == "failed"
    assert "the task bad failed" in ended.cause
    assert "exit 3" in ended.cause
    outcomes = {t.task_id: (t.status, t.verification_exit) for t in world.heard.of(e.TaskCompleted)}
    assert outcomes == {
        "bad": ("failed", 3),
        "after": ("skipped", None),
        "later": ("skipped", None),
        "free": ("completed", None),
    }
    names = {a.name: a.claim for a in world.heard.of(e.ArtifactStored)}
    assert {"unfinished-bad.bundle", "work.bundle", "work.diff"} <= set(names)
    assert "reviewer" not in {asked[0] for asked in world.driver.asked}
    assert b"free.py" in await world.objects.get(names["work.diff"])
    assert b"half.py" not in await world.objects.get(names["work.diff"])


async def test_a_developer_who_gives_up_fails_the_task(world: "World", make_task: MakeTask) -> None:
    world.plans(make_task("fix", verification="true"))
    world.driver.on("developer", {"finish_task": {"summary": "there is no such file", "gave_up": True}}, task="fix")
    ended = await world.approved()
    assert ended.cause == "the task fix failed: the developer gave up: there is no such file"


async def test_work_that_changes_nothing_is_no_success(world: "World", make_task: MakeTask) -> None:
    world.plans(make_task("fix"))
    world.driver.on("developer", {"finish_task": {"summary": "nothing to do"}}, task="fix")
    world.reviews(approved=True)
    ended = await world.approved()
    assert ended.result == "failed"
    assert ended.cause.startswith("nothing was changed")


async def test_an_agent_that_only_talks_is_reminded_and_then_made_to_answer(world: "World") -> None:
    plan = {"summary": "s", "tasks": [{"id": "a", "title": "A", "description": ""}]}
    world.driver.on("architect", "I think.", "I still think.", "Hm.", {"submit_plan": plan})
    assert (await world.run()).state == "blocked"
    assert [request.must_call for request in world.driver.requests] == [None, None, None, "submit_plan"]


async def test_a_repository_without_the_base_branch_fails_with_what_it_has(world: "World") -> None:
    import msgspec

    ended = await world.run(msgspec.structs.replace(world.job(), base="develop"))
    assert ended.result == "failed"
    assert "has no branch develop; it has: main" in ended.cause
    assert world.heard.types == ["workflow_completed"]


async def test_a_model_that_refuses_fails_the_workflow_with_its_words(world: "World") -> None:
    world.driver.on("architect", {"list_files": {}})
    ended = await world.run()
    assert ended.cause == "there is no plan: nothing is written for ('architect', '', 1, 1)"
    assert world.heard.of(e.TokensUsed)[0].used.input_tokens == 100


async def test_a_large_plan_travels_as_a_claim(world: "World", make_task: MakeTask) -> None:
    import msgspec

    world.plans(msgspec.structs.replace(make_task("fix"), description="x" * 40_000))
    await world.run()
    blocked = world.heard.of(e.WorkflowBlocked)[0]
    assert blocked.plan is None
    assert b"x" * 40_000 in await world.objects.get(blocked.plan_claim)


async def test_each_new_try_of_a_clone_is_told_and_how_commands_are_confined_once(
    world: "World", monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(cloning, "ATTEMPTS", 2)
    live, nowhere = Live(Account(1)), "https://127.0.0.1:1/shop.git"
    for _ in range(2):
        with pytest.raises(RepositoryAway):
            await world.run(world.job(repository=nowhere), live=live)
    *said, last = (event.content for event in world.heard.shown if isinstance(event, e.AgentMessage))
    assert last.startswith(f"the clone of {nowhere} does not answer (")
    assert said == [*filter(None, [await weakness()]), last]


async def test_progress_tells_what_agents_say_and_do(world: "World", make_task: MakeTask) -> None:
    world.plans(make_task("fix"))
    await world.run()
    shown = world.heard.shown
    if warning := await weakness():
        assert isinstance(shown[0], e.AgentMessage)
        assert shown[0].content == warning, "where commands are confined less well than they could be, it is said first"
        shown = shown[1:]
    assert [type(event).__name__ for event in shown[:3]] == ["AgentMessage", "ToolCalled", "ToolCompleted"]
    assert isinstance(shown[1], e.ToolCalled)
    assert (shown[1].tool, shown[1].summary) == ("read_file", "calc.py")
    assert isinstance(shown[2], e.ToolCompleted)
    assert (shown[2].ok, shown[2].summary) == (True, "def add(a, b):")
