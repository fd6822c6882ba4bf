"""Decisions about plans that change, plans in part, and plans too large to travel."""

from pathlib import Path

import httpx
import msgspec
import pytest

from amelia.contract import commands as c
from amelia.contract import events as e
from amelia.contract.plan import Plan, Task, plan_sha256
from amelia.contract.workflow import ClaimCheck
from amelia.domain.plan import part_of
from amelia_api.proposed import differences

from ..samples import Voice, arrived, opened, order, started, the
from .conftest import Api
from .test_requests import is_problem


def task(id_: str, *dependencies: str, title: str = "") -> Task:
    return Task(id=id_, title=title or id_, description=f"Do {id_}.", dependencies=dependencies, files=(f"{id_}.py",))


FIRST = Plan(summary="Two steps.", tasks=(task("sum"), task("round", "sum")))
SECOND = Plan(summary="Three.", tasks=(task("sum", title="Sum exactly"), task("tests", "sum"), task("docs")))


class Workflow:
    """One of which the Architect proposes what it is told to."""

    def __init__(self, api: Api, workflow_id: str) -> None:
        self.api, self.id, self.voice = api, workflow_id, Voice(workflow_id)

    @property
    def path(self) -> str:
        return f"/workflows/{self.id}"

    async def proposes(self, plan: Plan, *, claimed: bool = False, **fields: int) -> str:
        """The block's id."""
        claim: ClaimCheck | None = None
        if claimed:
            claim = await self.api.objects.put("plans", msgspec.json.encode(plan, order="sorted"))
        fact = self.voice.fact(
            e.WorkflowBlocked,
            plan_sha256=plan_sha256(plan),
            plan=None if claimed else plan,
            plan_claim=claim,
            **fields,
        )
        assert await self.api.journal.append(arrived(fact)) == [None]
        assert (await the(self.api.journal, self.id)).workflow.status == "blocked"
        return fact.id

    async def replans(self, plan: Plan, *, claimed: bool = False) -> str:
        await self.api.journal.execute(order(c.ReviseWorkflow, self.id, feedback="otherwise"))
        row = await opened(self.api.journal, self.id)
        self.voice = Voice(self.id, row.workflow.epoch, row.workflow.fact)
        return await self.proposes(plan, claimed=claimed)


@pytest.fixture
async def workflow(api: Api) -> Workflow:
    return Workflow(api, (await started(api.journal)).workflow.id)


@pytest.fixture(params=[False, True], ids=["in the row", "in the object store"])
def claimed(request: pytest.FixtureRequest) -> bool:
    return bool(request.param)


# A plan that changed


async def test_a_revised_plan_is_shown_with_what_changed_its_cost_and_its_deadline(
    http: httpx.AsyncClient, workflow: Workflow, claimed: bool
) -> None:
    await workflow.proposes(FIRST, claimed=claimed, estimated_microdollars=1_500_000)
    view = (await http.get(f"{workflow.path}/plan")).json()
    assert (view["previous_sha256"], view["changes"], view["estimated_microdollars"]) == ("", "", 1_500_000)
    assert view["deadline"] == (await http.get(workflow.path)).json()["deadline"] != ""
    answer = await http.post(f"{workflow.path}/revise", json={"feedback": "three", "plan_sha256": plan_sha256(FIRST)})
    assert (answer.status_code, answer.json()["status"]) == (200, "pending")
    is_problem(await http.get(f"{workflow.path}/plan"), 404, "is pending and is planned anew")

    row = await opened(workflow.api.journal, workflow.id)
    workflow.voice = Voice(workflow.id, row.workflow.epoch, row.workflow.fact)
    await workflow.proposes(SECOND, claimed=claimed)
    view = (await http.get(f"{workflow.path}/plan")).json()
    assert (view["plan_sha256"], view["previous_sha256"]) == (plan_sha256(SECOND), plan_sha256(FIRST))
    changes = view["changes"].splitlines()
    assert {"-Two steps.", "+Three.", "-sum: sum", "+sum: Sum exactly", "-round: round", "+docs: docs"} <= set(changes)


@pytest.mark.parametrize("verb", ["approve", "reject", "revise"])
async def test_a_decision_about_an_older_plan_is_told_what_changed(
    http: httpx.AsyncClient, workflow: Workflow, claimed: bool, verb: str
) -> None:
    old_block = await workflow.proposes(FIRST, claimed=claimed)
    new_block = await workflow.replans(SECOND, claimed=claimed)
    feedback = {"feedback": "x"} if verb == "revise" else {}
    for named in ({"plan_sha256": plan_sha256(FIRST)}, {"block_id": old_block}):
        answer = await http.post(f"{workflow.path}/{verb}", json={**named, **feedback})
        assert answer.status_code == 409
        problem = answer.json()
        assert f"is {plan_sha256(SECOND)} now" in problem["detail"]
        assert "tasks tests, docs were added, task round was removed, task sum was changed" in problem["detail"]
        assert "\n" not in problem["detail"]
        assert "+sum: Sum exactly" in problem["changes"].splitlines()
    if verb == "approve":
        gone = await http.post(f"{workflow.path}/approve", json={"plan_sha256": plan_sha256(FIRST), "tasks": ["round"]})
        assert (gone.status_code, "task round was removed" in gone.json()["detail"]) == (409, True)
    both = {"plan_sha256": plan_sha256(SECOND), "block_id": new_block, **feedback}
    assert (await http.post(f"{workflow.path}/{verb}", json=both)).status_code == 200


async def test_a_plan_that_was_never_proposed_and_one_proposed_again_are_told_apart(
    http: httpx.AsyncClient, workflow: Workflow
) -> None:
    block = await workflow.proposes(FIRST)
    never = await http.post(f"{workflow.path}/approve", json={"plan_sha256": "f" * 64})
    is_problem(never, 409, f"no plan {'f' * 64} was ever proposed")
    is_problem(await http.post(f"{workflow.path}/approve", json={"block_id": "b\0"}), 409, "was ever proposed")
    again = await workflow.replans(FIRST)
    answer = await http.post(f"{workflow.path}/approve", json={"block_id": block})
    is_problem(answer, 409, f"proposed again in another block ({again})")


async def test_an_older_plan_that_cannot_be_read_is_still_a_conflict(
    http: httpx.AsyncClient, workflow: Workflow, tmp_path: Path
) -> None:
    await workflow.proposes(FIRST, claimed=True)
    for stored in tmp_path.rglob("*"):
        if stored.is_file():
            stored.unlink()
    await workflow.replans(SECOND)
    answer = await http.post(f"{workflow.path}/approve", json={"plan_sha256": plan_sha256(FIRST)})
    is_problem(answer, 409, plan_sha256(SECOND))
    assert (await http.get(f"{workflow.path}/plan")).status_code == 200


async def test_what_changed_is_bounded(http: httpx.AsyncClient, workflow: Workflow) -> None:
    def large(word: str) -> Plan:
        tasks = [Task(id=f"{word}-{n}", title="t", description=f"{word}\n" * 400) for n in range(40)]
        return Plan(summary=word, tasks=tuple(tasks))

    await workflow.proposes(large("old"), claimed=True)
    await workflow.replans(large("new"), claimed=True)
    answer = await http.post(f"{workflow.path}/approve", json={"plan_sha256": plan_sha256(large("old"))})
    assert answer.status_code == 409
    assert "new-4 and 35 more were added" in answer.json()["detail"]
    assert len(answer.content) < 40_000


def test_a_difference_in_nothing_but_words_around_the_tasks_is_named() -> None:
    assert differences(FIRST, msgspec.structs.replace(FIRST, summary="x")) == "its summary or its tests changed"


# A plan in part


async def test_a_part_of_a_plan_is_approved_under_its_own_hash(
    http: httpx.AsyncClient, workflow: Workflow, claimed: bool
) -> None:
    block = await workflow.proposes(SECOND, claimed=claimed)
    named = {"block_id": block, "plan_sha256": plan_sha256(SECOND), "tasks": ["tests", "sum"]}
    answer = await http.post(f"{workflow.path}/approve", json=named)
    assert (answer.status_code, answer.json()["status"]) == (200, "approved"), answer.text
    decision = (await the(workflow.api.journal, workflow.id)).workflow.decision
    assert decision is not None
    assert decision.plan_sha256 == plan_sha256(part_of(SECOND, {"sum", "tests"}))
    assert set(decision.tasks) == {"sum", "tests"}
    again = await http.post(f"{workflow.path}/approve", json=named)
    assert (again.status_code, again.json()["sequence"]) == (200, answer.json()["sequence"])
    is_problem(await http.post(f"{workflow.path}/approve", json={**named, "tasks": ["docs"]}), 409, "is approved")


async def test_all_tasks_are_the_whole_plan(http: httpx.AsyncClient, workflow: Workflow, claimed: bool) -> None:
    await workflow.proposes(FIRST, claimed=claimed)
    for _ in range(2):
        answer = await http.post(f"{workflow.path}/approve", json={"tasks": ["round", "sum"]})
        assert (answer.status_code, answer.json()["status"]) == (200, "approved"), answer.text
    decision = (await the(workflow.api.journal, workflow.id)).workflow.decision
    assert decision is not None
    assert (decision.plan_sha256, decision.tasks) == (plan_sha256(FIRST), ())


async def test_tasks_that_are_no_part_of_the_plan_are_refused(
    http: httpx.AsyncClient, workflow: Workflow, claimed: bool
) -> None:
    await workflow.proposes(FIRST, claimed=claimed)
    for tasks, said in (
        (["round"], "task round depends on sum; approve those too, or leave round out"),
        (["sum", "nonsense"], "the plan has no task nonsense; it has sum, round"),
        ([""], "the plan has no task"),
        (["\0"], "the plan has no task"),
    ):
        is_problem(await http.post(f"{workflow.path}/approve", json={"tasks": tasks}), 422, said)
    reject = await http.post(f"{workflow.path}/reject", json={"tasks": ["sum"]})
    is_problem(reject, 422, "a rejection is of the whole plan")
    approve = await http.post(f"{workflow.path}/approve", json={"feedback": "but"})
    is_problem(approve, 422, "an approval takes no feedback")
    assert (await http.get(workflow.path)).json()["status"] == "blocked"


# Artifacts


async def test_artifacts_are_listed_once_a_name_and_fetched(http: httpx.AsyncClient, workflow: Workflow) -> None:
    assert (await http.get(f"{workflow.path}/artifacts")).json()["items"] == []
    for name, body in (("work.diff", b"old"), ("unfinished-sum.bundle", b"\xff"), ("work.diff", b"new")):
        claim = await workflow.api.objects.put("artifacts", body)
        fact = workflow.voice.fact(e.ArtifactStored, name=name, claim=claim, media_type="text/html")
        await workflow.api.journal.append(arrived(fact, workflow.voice.progress()))
    items = (await http.get(f"{workflow.path}/artifacts")).json()["items"]
    assert [item["name"] for item in items] == ["unfinished-sum.bundle", "work.diff"]
    answer = await http.get(f"{workflow.path}/artifacts/work.diff")
    assert (answer.content, answer.headers["content-type"]) == (b"new", "application/octet-stream")
    for name in ("none", "..%2f..%2fetc", "%00"):
        is_problem(await http.get(f"{workflow.path}/artifacts/{name}"), 404)
