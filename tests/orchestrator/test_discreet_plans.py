"""A plan is shown without secrets, its commands can be run as they are shown, and its hash stays true."""

import uuid
from collections.abc import Callable, Sequence

import msgspec
import pytest
from msgspec.structs import replace

from amelia.contract import events as e
from amelia.contract.envelope import Event
from amelia.contract.plan import Plan, Task, plan_sha256
from amelia.domain.plan import part_of
from amelia.orchestrator.discreet import DiscreetAnnouncer
from amelia.orchestrator.facts import above, record
from amelia.orchestrator.state import Work, beginning, work_of
from amelia.redaction import ours

from .conftest import World

MakeTask = Callable[..., Task]
MADE_UP = "PGPASSWORD=example1 true"


async def test_a_plan_whose_command_could_not_be_shown_goes_back_to_the_architect(
    world: World, make_task: MakeTask
) -> None:
    told = Plan(summary="With SECRET_KEY=test-key-123 in it.", tasks=(make_task("fix", verification="true"),))
    wrong = replace(told, tasks=(make_task("fix", verification=MADE_UP),), test_command=MADE_UP)
    submissions = [{"submit_plan": msgspec.to_builtins(plan)} for plan in (wrong, told)]
    world.driver.on("architect", *submissions)
    assert (await world.run()).state == "blocked"
    objection = repr(world.driver.requests[-1].messages[-1])
    assert "the test_command holds [redacted:password] and" in objection
    assert "the verification of the task fix holds [redacted:password]" in objection
    [blocked] = world.heard.of(e.WorkflowBlocked)
    assert blocked.plan == replace(told, summary="With SECRET_KEY=[redacted:secret] in it.")
    assert blocked.plan_sha256 == plan_sha256(blocked.plan)


async def test_what_a_developer_makes_up_is_run_and_written(world: World, make_task: MakeTask) -> None:
    world.plans(make_task("fix"))
    fixture = 'URL = "postgres://shop:shoppw@localhost/shop"\nSECRET_KEY = "test-key-123"\n'
    lines = (
        {"write_file": {"path": "calc.py", "content": fixture}},
        {"run_command": {"command": "PGPASSWORD=example1 sh -c 'echo \"$PGPASSWORD\" > README.md'"}},
        {"finish_task": {"summary": "done"}},
    )
    world.driver.on("developer", *lines, task="fix")
    world.reviews(approved=True)
    assert (await world.approved()).result == "success"
    assert await world.handed_in() == {"calc.py": fixture.strip(), "README.md": "example1"}
    assert "test-key-123" not in repr(world.heard.told) + repr(world.heard.shown)


@pytest.mark.parametrize("command", [MADE_UP, "PGPASSWORD=[redacted:password] true"])
async def test_an_edited_plan_whose_command_could_not_be_run_is_not_taken(
    world: World, make_task: MakeTask, command: str
) -> None:
    world.plans(make_task("fix"))
    world.develops("fix", "calc.py", "mended\n")
    world.reviews(approved=True)
    await world.run()
    edited = Plan(summary="Mine.", tasks=(make_task("fix"),), test_command=command)
    ended = await world.run(world.job(world.decided("revised"), world.last_fact, edited=edited), epoch=2)
    assert ended.result == "failed"
    assert "the edited plan was not taken: the test_command holds [redacted:password]" in repr(world.heard.told[-1])
    assert len(world.heard.of(e.WorkflowBlocked)) == 1


async def test_an_edited_plan_is_hashed_as_it_is_shown(world: World, make_task: MakeTask) -> None:
    world.plans(make_task("fix"))
    await world.run()
    edited = Plan(summary="With SECRET_KEY=test-key-123.", tasks=(make_task("fix"),))
    await world.run(world.job(world.decided("revised"), world.last_fact, edited=edited), epoch=2)
    blocked = world.heard.of(e.WorkflowBlocked)[-1]
    assert "test-key-123" not in repr(blocked)
    assert blocked.plan_sha256 == plan_sha256(blocked.plan)


async def test_a_part_of_a_plan_can_be_approved_after_a_word_of_it_became_known_as_a_secret(
    world: World, make_task: MakeTask
) -> None:
    word = f"word{uuid.uuid4().hex}"
    tasks = (make_task("fix"), make_task("more"))
    plan = msgspec.to_builtins(Plan(summary=f"About {word}.", tasks=tasks))
    world.driver.on("architect", {"submit_plan": plan})
    assert (await world.run()).state == "blocked"
    [blocked] = world.heard.of(e.WorkflowBlocked)
    assert word in blocked.plan.summary
    ours().learn("LATE", word)
    rejected = await world.run(world.job(world.decided("rejected"), world.last_fact), epoch=2)
    assert rejected.result == "failed"
    assert (await world.run(world.job(highest_fact=world.last_fact, retries=1), epoch=3)).state == "blocked"

    part = part_of(blocked.plan, ["fix"])
    approved = replace(world.decided(), tasks=("fix",), plan_sha256=plan_sha256(part))
    world.develops("fix", "calc.py", "mended\n")
    world.reviews(approved=True)
    assert (await world.run(world.job(approved, world.last_fact, retries=1), epoch=4)).result == "success"
    assert world.heard.of(e.WorkHandedIn)[-1].plan_sha256 == plan_sha256(part)


async def test_a_plan_is_kept_and_announced_as_it_was_hashed(make_task: MakeTask) -> None:
    word = f"word{uuid.uuid4().hex}"
    plan = Plan(summary=f"About {word}.", tasks=(make_task("fix"),))
    sha256 = plan_sha256(plan)
    ours().learn("LATE", word)
    blocked = e.WorkflowBlocked(id="", workflow_id="wf-1", plan=plan, plan_sha256=sha256)
    state = record(beginning(), Work(plan=plan, plan_sha256=sha256, cause=f"It says {word}."), [blocked], 0)
    assert (work_of(state).plan, work_of(state).cause) == (plan, "It says [redacted:LATE].")
    said: list[e.WorkflowBlocked] = []

    class Ear:
        async def facts(self, facts: Sequence[Event]) -> None:
            said.extend(fact for fact in facts if isinstance(fact, e.WorkflowBlocked))

        def progress(self, event: Event) -> None:
            raise AssertionError(event)

    await DiscreetAnnouncer(Ear(), ours()).facts(above(state, 0))
    assert [fact.plan for fact in said] == [plan]
