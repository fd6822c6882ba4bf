"""What an agent does with git in its own worktree is nobody else's matter."""

from collections.abc import Callable

from amelia.contract import events as e
from amelia.contract.plan import Task

from .conftest import World

MakeTask = Callable[..., Task]


def runs(world: World, task: str, *commands: str) -> None:
    calls = tuple({"run_command": {"command": command}} for command in commands)
    world.driver.on("developer", *calls, {"finish_task": {"summary": "done"}}, task=task)


async def test_a_prune_of_worktrees_leaves_the_others_where_they_are(world: World, make_task: MakeTask) -> None:
    world.plans(make_task("a"), make_task("b", "a"))
    runs(world, "a", "git worktree prune; git worktree prune --expire now; echo a > a.txt")
    world.develops("b", "b.txt", "b\n")
    world.reviews(approved=True)
    assert (await world.approved()).result == "success"
    assert {"a.txt", "b.txt"} <= set(await world.handed_in())


async def test_what_git_is_in_the_middle_of_is_no_part_of_the_commit(world: World, make_task: MakeTask) -> None:
    world.plans(make_task("a"), make_task("b", "a"))
    own = "git -c user.name=x -c user.email=x@x"
    begin = f"git checkout -q -b other && echo o > o.txt && git add o.txt && {own} commit -qm o"
    back = f"git checkout -q - && {own} merge -q --no-ff --no-commit other; echo a > a.txt"
    runs(world, "a", begin, back, "touch $(git rev-parse --git-dir)/index.lock")
    world.develops("b", "b.txt", "b\n")
    world.reviews(approved=True)
    assert (await world.approved()).result == "success"
    work = world.heard.of(e.WorkHandedIn)[-1]
    assert {"a.txt", "b.txt", "o.txt"} <= set(await world.handed_in())
    parents = world.git("log", "--format=%P", f"{work.base_commit}..{work.commit}").splitlines()
    assert [len(line.split()) for line in parents] == [1, 1]


async def test_a_worktree_that_cannot_be_used_any_more_is_its_tasks_failure(world: World, make_task: MakeTask) -> None:
    world.plans(make_task("a"), make_task("b"))
    runs(
        world, "a", "rm -f $(git rev-parse --git-dir)/HEAD; mkdir -p $(git rev-parse --git-dir)/HEAD/x; echo a > a.txt"
    )
    world.develops("b", "b.txt", "b\n")
    ended = await world.approved()
    outcomes = {fact.task_id: fact.status for fact in world.heard.of(e.TaskCompleted)}
    assert (ended.result, outcomes["b"]) == ("failed", "completed")
    assert outcomes["a"] == "failed"


async def test_a_stash_is_not_shared(world: World, make_task: MakeTask) -> None:
    world.plans(make_task("a"))
    runs(world, "a", "git stash", "git diff HEAD > $TMPDIR/changes.patch; echo a > a.txt")
    world.reviews(approved=True)
    assert (await world.approved()).result == "success"
    told = [fact for fact in world.heard.shown if isinstance(fact, e.ToolCompleted) and fact.tool == "run_command"]
    assert [fact.ok for fact in told] == [False, True]
    assert world.heard.of(e.WorkflowCompleted)[-1].unresolved == ()
