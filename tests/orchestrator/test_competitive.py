"""Three reviewers at once, and one verdict out of theirs."""

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import pytest

from amelia.contract import events as e
from amelia.contract.plan import Comment, Task, Verdict
from amelia.contract.workflow import Profile
from amelia.drivers.base import Request, Usage
from amelia.errors import Unavailable
from amelia.orchestrator.agents.loop import Outcome
from amelia.orchestrator.agents.merging import merged
from amelia.orchestrator.agents.reviewer import FOCUSES, together

if TYPE_CHECKING:
    from tests.orchestrator.conftest import World

MakeTask = Callable[..., Task]


def comment(severity: Any, message: str, file: str = "calc.py", line: int = 0) -> Comment:
    return Comment(severity=severity, message=message, file=file, line=line)


def verdict(*comments: Comment, summary: str = "seen") -> Verdict:
    heavy = any(one.severity in ("major", "blocker") for one in comments)
    return Verdict(approved=not heavy, summary=summary, comments=comments)


def test_one_who_sends_back_is_enough() -> None:
    found = merged({"security": verdict(comment("major", "the path is not checked")), "usability": verdict()})
    assert not found.approved
    assert [one.message for one in found.comments] == ["[security] the path is not checked"]


def test_what_all_approve_is_approved_and_says_who_said_what() -> None:
    found = merged({name: verdict(summary=f"fine by {name}") for name in FOCUSES})
    assert found.approved
    assert found.summary.splitlines() == [f"{name} (approved): fine by {name}" for name in FOCUSES]
    assert merged({name: verdict() for name in FOCUSES}).summary == f"{', '.join(FOCUSES)} (approved): seen"


def test_what_several_say_is_said_once_as_gravely_as_the_gravest_sees_it() -> None:
    found = merged(
        {
            "security": verdict(comment("blocker", "The size of the upload has no limit.", line=12)),
            "performance": verdict(comment("minor", "the size of the upload has no limit", line=13)),
            "usability": verdict(comment("minor", "the name of the upload is misleading", line=13)),
        }
    )
    assert [(one.severity, one.line, one.message) for one in found.comments] == [
        ("blocker", 12, "[security: blocker, performance: minor] The size of the upload has no limit."),
        ("minor", 13, "[usability] the name of the upload is misleading"),
    ]


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (comment("minor", "no test", line=3), comment("minor", "no test", line=30)),
        (comment("minor", "no test"), comment("minor", "no test", file="other.py")),
        (comment("minor", "the name hides the unit"), comment("minor", "the unit of a timeout is unknown")),
    ],
)
def test_different_things_stay_apart(one: Comment, other: Comment) -> None:
    assert len(merged({"security": verdict(one), "usability": verdict(other)}).comments) == 2


def test_the_gravest_comes_first_and_nothing_is_lost() -> None:
    found = merged(
        {
            "security": verdict(comment("info", "a"), comment("major", "b"), comment("minor", "c")),
            "performance": verdict(comment("blocker", "d"), comment("info", "e")),
        }
    )
    assert [one.severity for one in found.comments] == ["blocker", "major", "minor", "info", "info"]


def outcome(answer: Verdict | None, cause: str = "") -> Outcome[Verdict]:
    return Outcome(answer=answer, usage=Usage(input_tokens=1), turns=2, cause=cause)


def test_without_one_of_the_verdicts_nothing_is_approved() -> None:
    silent = outcome(None, "it said nothing")
    found = together({"security": silent, "performance": outcome(verdict()), "usability": outcome(verdict())})
    assert found.answer is None
    assert found.cause == "the security reviewer gave no verdict: it said nothing"
    assert (found.usage.input_tokens, found.turns) == (3, 6)


def test_without_one_of_the_verdicts_work_is_sent_back_by_another_all_the_same() -> None:
    silent = outcome(None, "it said nothing")
    found = together({"security": silent, "performance": outcome(verdict(comment("major", "slow")))})
    assert found.answer is not None and not found.answer.approved
    assert "the security reviewer gave no verdict" in found.answer.summary
    assert found.cause == ""


def review(*comments: dict[str, Any]) -> dict[str, dict[str, Any]]:
    approved = not any(one["severity"] in ("major", "blocker") for one in comments)
    return {"submit_review": {"approved": approved, "summary": "seen", "comments": list(comments)}}


def competition(world: "World", make_task: MakeTask, **of: dict[str, dict[str, Any]]) -> None:
    world.profile = Profile(strategy="competitive")
    world.plans(make_task("fix", verification="test -f new.py"), test_command="echo it ran >> count; cat count")
    world.develops("fix", "new.py", "a = 1\nb = 2\n")
    for focus in FOCUSES:
        world.driver.on("reviewer", {"read_file": {"path": "new.py"}}, of.get(focus, review()), task=focus)


async def test_the_three_judge_by_themselves_what_the_tests_were_run_for_once(
    world: "World", make_task: MakeTask
) -> None:
    competition(world, make_task)
    assert (await world.approved()).result == "success"
    asked = [who for who in world.driver.asked if who[0] == "reviewer"]
    assert sorted(asked) == sorted(("reviewer", focus, 1, turn) for focus in FOCUSES for turn in (0, 1))
    requests = [r for r in world.driver.requests if r.label.agent == "reviewer"]
    assert len({r.system for r in requests}) == 1
    for request in requests:
        opening = repr(request.messages[0])
        assert "it ran\\nit ran" not in opening and "it ran" in opening
        assert "test -f new.py" in opening
        assert f"hardest at {request.label.task}" in opening
    [completed] = world.heard.of(e.ReviewCompleted)
    assert completed.verdict.approved
    assert world.spent[2].input_tokens == 100 * (3 + 6)


async def test_a_finding_of_one_goes_back_to_the_developer_with_its_place(world: "World", make_task: MakeTask) -> None:
    found = {"severity": "major", "message": "b is not used", "file": "./new.py", "line": 2}
    competition(world, make_task, security=review(found), performance=review({**found, "severity": "minor"}))
    world.develops("review", "new.py", "a = 1\n", round=2)
    for focus in FOCUSES:
        world.driver.on("reviewer", review(), task=focus, round=2)
    ended = await world.approved()
    assert ended.result == "success", ended.cause
    first, second = world.heard.of(e.ReviewCompleted)
    [said] = first.verdict.comments
    assert (said.severity, said.file, said.line) == ("major", "new.py", 2)
    assert said.message == "[security: major, performance: minor] b is not used"
    answering = next(r for r in world.driver.requests if r.label.task == "review")
    assert "new.py:2: [security: major, performance: minor] b is not used" in repr(answering.messages[0])
    assert second.verdict.approved
    assert (await world.handed_in())["new.py"] == "a = 1"


async def test_what_the_others_said_before_one_could_not_be_asked_is_not_asked_again(
    world: "World", make_task: MakeTask
) -> None:
    competition(world, make_task)
    await world.run()
    decision = world.decided()

    async def away(request: Request) -> None:
        if request.label.task == "usability":
            raise Unavailable("the model rests")

    world.driver.before = away
    with pytest.raises(Unavailable):
        await world.run(world.job(decision, world.last_fact), epoch=2)
    world.driver.before = None
    ended = await world.run(world.job(decision, world.last_fact), epoch=3, place="elsewhere")
    assert ended.result == "success"
    asked = [who for who in world.driver.asked if who[0] == "reviewer" and who[1] != "usability"]
    assert len(asked) == len(set(asked)) == 4
    assert sum(used.tokens for used in world.spent.values()) == 110 * (len(world.driver.asked) - 1)
