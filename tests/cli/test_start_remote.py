"""``amelia start --remote`` against a fleet."""

import json
import signal
import subprocess
import threading
from pathlib import Path

import msgspec
import pytest

from amelia.contract import events as e
from amelia.contract.plan import plan_sha256
from amelia.contract.views import StartRequest, WorkflowView
from amelia.contract.workflow import Budget, Money

from ..client.pretend_fleet import PLAN, PretendFleet
from .conftest import AMELIA, Amelia, Answering

pytestmark = pytest.mark.usefixtures("repository")


def asked(fleet: PretendFleet) -> StartRequest:
    body = next(body for method, path, body in fleet.requests if (method, path) == ("POST", "/api/v1/workflows"))
    return msgspec.json.decode(body, type=StartRequest)


def blocks(fleet: PretendFleet, workflow_id: str, block: str = "b") -> None:
    fleet.plans[workflow_id] = PLAN
    fleet.change(workflow_id, status="blocked", block_id=block, plan_sha256=plan_sha256(PLAN))
    fleet.say(workflow_id, e.WorkflowBlocked(id=block, workflow_id=workflow_id, plan_sha256="h", plan=PLAN))


def ends(fleet: PretendFleet, workflow_id: str, status: str = "completed") -> None:
    cause = "the tests fail"
    fleet.change(workflow_id, status=status, commit="c" * 40, reason="" if status == "completed" else cause)
    if status == "completed":
        pushed = e.BranchPushed(id="p", workflow_id=workflow_id, branch="amelia/x", commit="c" * 40, repository="r")
        fleet.say(workflow_id, pushed)
    else:
        fleet.say(workflow_id, e.WorkflowCompleted(id="e", workflow_id=workflow_id, result="failed", cause=cause))


@pytest.fixture
def working(fleet: PretendFleet) -> PretendFleet:
    """Blocks at once; completes when approved, fails when rejected, blocks again when revised."""
    fleet.on_start = lambda workflow_id, request: blocks(fleet, workflow_id)
    kinds = {"approve": "completed", "reject": "failed"}

    def decided(workflow_id: str, kind: str) -> None:
        if kind == "revise":
            blocks(fleet, workflow_id, block="again")
        else:
            ends(fleet, workflow_id, kinds[kind])

    fleet.on_decision = decided
    return fleet


def test_detached_prints_the_id_and_nothing_else(amelia: Amelia, fleet: PretendFleet, repository: Path) -> None:
    ran = amelia("start", "issue.md", "--remote", "--detach")
    assert ran.code == 0
    assert ran.out.split() == list(fleet.views)
    request = asked(fleet)
    assert (request.issue.id, request.issue.title, request.issue.body) == ("issue", "Totals are wrong", "By a cent.")
    assert request.repository == f"file://{repository}"
    assert not request.auto_approve


def test_the_same_key_starts_one_workflow(amelia: Amelia, fleet: PretendFleet) -> None:
    ids = {amelia("start", "issue.md", "--remote", "--detach", "--idempotency-key", "k").out for _ in range(2)}
    assert len(ids) == len(fleet.views) == 1


def test_a_key_that_came_with_other_options_says_so(amelia: Amelia, fleet: PretendFleet) -> None:
    detail = "this idempotency key came before with another body; use a new key for a new request"
    fleet.answers.append((422, json.dumps({"detail": detail}).encode()))
    ran = amelia("start", "issue.md", "--remote", "--detach", "--idempotency-key", "job 7")
    assert (ran.code, "'job 7' has started a workflow before, with other options; give those again" in ran.err) == (
        2,
        True,
    )


def test_a_job_that_is_run_again_attaches_to_what_it_has_started(amelia: Amelia, fleet: PretendFleet) -> None:
    fleet.on_start = lambda workflow_id, request: ends(fleet, workflow_id)
    start = ["start", "issue.md", "--remote", "--idempotency-key", "job 7"]
    first, second = amelia(*start, "--wait"), amelia(*start, "--wait")
    assert (first.code, "attached" in first.err) == (0, False)
    [workflow_id] = fleet.views
    assert f"attached to {workflow_id}, which 'job 7' has started before: completed" in second.err
    assert (second.code, second.out) == (0, first.out)
    lines = [json.loads(line) for line in amelia(*start, "--output", "json").out.splitlines()]
    assert (lines[0]["type"], lines[-1]["workflow"]["status"]) == ("attached", "completed")
    ends(fleet, workflow_id, "failed")
    assert amelia(*start, "--wait").code == 1


def test_a_budget_and_a_priority_travel_with_the_request(amelia: Amelia, fleet: PretendFleet) -> None:
    Path("settings.amelia.yaml").write_text(
        "profiles: {default: {approval_minutes: 90, budget: {dollars: 1, tokens: 9}}}"
    )
    words = ["--budget", "2.50", "--priority", "-3"]
    assert amelia("start", "issue.md", "--remote", "--detach", *words).code == 0
    assert (asked(fleet).budget, asked(fleet).priority) == (Budget(microdollars=2_500_000, tokens=9), -3)
    assert asked(fleet).profile.approval_minutes == 90
    for wrong in (["--priority", "101"], ["--budget", "x"], ["--budget-tokens", "-1"]):
        ran = amelia("start", "issue.md", "--remote", "--detach", *wrong)
        assert (ran.code, len(ran.err.splitlines())) == (2, 1)


def test_options_and_profile_travel_with_the_request(amelia: Amelia, fleet: PretendFleet) -> None:
    Path("settings.amelia.yaml").write_text(
        "active_profile: prod\nprofiles:\n  prod: {driver: 'api:bedrock', model: m, max_iterations: 2}\n"
    )
    words = ["--title", "Too slow", "--base", "main", "--auto-approve", "--repo", "https://example.com/x.git"]
    ran = amelia("start", "PROJ-7", "--remote", "--detach", "--output", "json", *words)
    assert msgspec.json.decode(ran.out, type=WorkflowView).id in fleet.views
    request = asked(fleet)
    assert (request.issue.id, request.issue.title, request.issue.body) == ("PROJ-7", "Too slow", "")
    assert (request.base, request.repository, request.auto_approve) == ("main", "https://example.com/x.git", True)
    assert (request.profile.name, request.profile.driver, request.profile.max_iterations) == ("prod", "api:bedrock", 2)


def test_following_without_a_terminal_says_how_to_approve_and_stays(amelia: Amelia, working: PretendFleet) -> None:
    def approve() -> None:
        while not (blocked := [v.id for v in working.views.values() if v.status == "blocked"]):
            done.wait(0.05)
        done.wait(0.3)
        assert amelia_elsewhere("workflows", "approve", blocked[0], "--yes").returncode == 0

    done = threading.Event()
    approving = threading.Thread(target=approve)
    approving.start()
    ran = amelia("start", "issue.md", "--remote")
    approving.join()
    assert ran.code == 0
    assert "then amelia workflows approve wf-" in ran.err
    assert "completed" in ran.out


def amelia_elsewhere(*arguments: str) -> "subprocess.CompletedProcess[bytes]":
    return subprocess.run([*AMELIA, *arguments], capture_output=True, check=False, stdin=subprocess.DEVNULL)


def test_waiting_is_silent_and_fails_with_the_workflow(amelia: Amelia, fleet: PretendFleet) -> None:
    fleet.on_start = lambda workflow_id, request: ends(fleet, workflow_id, "failed")
    ran = amelia("start", "issue.md", "--remote", "--wait")
    assert (ran.code, ran.out) == (1, "failed: the tests fail\n")


def test_events_come_as_lines_for_programs_and_the_end_as_the_last(amelia: Amelia, fleet: PretendFleet) -> None:
    fleet.on_start = lambda workflow_id, request: ends(fleet, workflow_id)
    ran = amelia("start", "issue.md", "--remote", "--output", "json")
    event, last = map(json.loads, ran.out.splitlines())
    assert (event["type"], event["sequence"]) == ("branch_pushed", 1)
    assert (last["type"], last["workflow"]["status"]) == ("workflow", "completed")


@pytest.mark.parametrize(
    ("answers", "code", "end"),
    [
        ([("Approve this plan?", "a")], 0, "completed"),
        ([("Approve this plan?", "r"), ("What is wrong", "too large")], 1, "failed"),
        ([("Approve this plan?", "v"), ("What is to be different?", "too large"), ("this plan?", "a")], 0, "completed"),
        ([("Approve this plan?", "v"), ("different?", " "), ("this plan?", "q")], 0, "amelia workflows approve"),
        ([("Approve this plan?", "q")], 0, "amelia workflows approve"),
    ],
)
def test_on_a_terminal_the_plan_is_shown_and_asked_about(
    working: PretendFleet, answering: Answering, answers: list[tuple[str, str]], code: int, end: str
) -> None:
    ended, seen = answering(["start", "issue.md", "--remote"], answers)
    assert "Round the total" in seen
    assert (ended, end in seen) == (code, True), seen
    if ("What is wrong", "too large") in answers:
        assert working.decisions[0].feedback == "too large"


def test_work_that_the_reviewer_refuses_is_asked_about_even_when_plans_are_approved(
    working: PretendFleet, answering: Answering
) -> None:
    def refuses(workflow_id: str, request: StartRequest) -> None:
        working.change(workflow_id, requires="review", unresolved=("major: no test",))
        blocks(working, workflow_id)

    working.on_start = refuses
    code, seen = answering(["start", "issue.md", "--remote", "--auto-approve"], [("Accept it as it is?", "a")])
    assert (code, "major: no test" in seen, "completed" in seen) == (0, True, True), seen
    assert [(decision.block_id, decision.plan_sha256) for decision in working.decisions] == [("b", plan_sha256(PLAN))]


def test_a_pause_is_told_to_whoever_waits_with_how_to_end_it(amelia: Amelia, fleet: PretendFleet) -> None:
    def pauses(workflow_id: str, request: StartRequest) -> None:
        fleet.change(workflow_id, status="paused", reason="the budget is reached")
        spent, budget = Money(cost_microdollars=4), Budget(microdollars=5)
        fleet.say(workflow_id, e.BudgetReached(id="p", workflow_id=workflow_id, budget=budget, spent=spent))

    def resume() -> None:
        while not fleet.views:
            done.wait(0.05)
        [workflow_id] = fleet.views
        done.wait(0.3)
        ends(fleet, workflow_id)

    fleet.on_start = pauses
    done = threading.Event()
    resuming = threading.Thread(target=resume)
    resuming.start()
    ran = amelia("start", "issue.md", "--remote", "--auto-approve", "--wait")
    resuming.join()
    assert ran.code == 0
    assert ran.err.count("is paused: the budget is reached; amelia workflows resume wf-") == 1


def test_an_interruption_says_that_the_fleet_goes_on_and_how_to_follow_or_end_it(fleet: PretendFleet) -> None:
    fleet.on_start = lambda workflow_id, request: blocks(fleet, workflow_id)
    started = subprocess.Popen(
        [*AMELIA, "start", "issue.md", "--remote"], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    assert started.stdout
    workflow_id = started.stdout.readline().strip()
    started.stdout.readline()
    started.send_signal(signal.SIGINT)
    _, err = started.communicate(timeout=20)
    assert (started.returncode, err.splitlines()[-1]) == (
        130,
        f"interrupted; the fleet goes on with {workflow_id}: amelia workflows logs {workflow_id} --follow shows it, "
        f"amelia workflows cancel {workflow_id} ends it",
    )


def test_auto_approved_nobody_is_asked(working: PretendFleet, answering: Answering) -> None:
    def decide(workflow_id: str, request: StartRequest) -> None:
        blocks(working, workflow_id)
        ends(working, workflow_id)

    working.on_start = decide
    code, seen = answering(["start", "issue.md", "--remote", "--auto-approve"], [])
    assert (code, "Approve this plan?" in seen) == (0, False)


@pytest.mark.usefixtures("fleet")
@pytest.mark.parametrize(
    ("arguments", "code", "sentence"),
    [
        (["nobody.md"], 2, "there is no file nobody.md"),
        (["PROJ-9"], 4, "nobody knows the issue 'PROJ-9'; give the path of a Markdown file, owner/repository#123"),
        ([""], 2, "the issue has no name"),
        (["."], 2, "is a directory"),
        (["empty.md"], 2, "has no heading"),
        (["binary.md"], 2, "is not UTF-8 text"),
        (["large.md"], 2, "at most 200000"),
        (["X", "--description-file", "empty.md"], 2, "give the issue's title with --title"),
        (["X", "--title", "t", "--description-file", "none.md"], 2, "none.md cannot be read"),
        (["issue.md", "--repo", "nowhere"], 2, "there is no folder"),
        (["issue.md", "--repo", "/"], 2, "not in a git repository"),
        (["issue.md", "--repo", "ftp://x/y"], 2, "no address of a repository"),
        (["issue.md", "--repo", "https://me:secret@example.com/x"], 2, "--repo holds a password"),
        (["issue.md", "--base", "mian"], 2, "there is no branch 'mian' in"),
        (["issue.md", "--profile", "prd"], 2, "did you mean 'prod'?"),
        (["issue.md", "--settings", "none.yaml"], 2, "there is no settings file none.yaml"),
        (["issue.md", "--settings", "broken.yaml"], 2, "broken.yaml:3 is not YAML"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_what_cannot_be_started_is_told_in_one_sentence(
    amelia: Amelia, arguments: list[str], code: int, sentence: str
) -> None:
    Path("empty.md").write_text("no heading\n")
    Path("binary.md").write_bytes(b"# a\xff\xfe")
    Path("large.md").write_text("# a\n" + "x" * 200_001)
    Path("settings.amelia.yaml").write_text("profiles: {prod: {}}")
    Path("broken.yaml").write_text("profiles:\n  a: [\n")
    ran = amelia("start", *arguments, "--remote", "--detach")
    assert (ran.code, ran.out) == (code, ""), ran.err
    assert sentence in ran.err
    assert len(ran.err.splitlines()) == 1
    assert "secret" not in ran.err


@pytest.mark.usefixtures("fleet")
def test_a_directory_without_a_repository_says_so(
    amelia: Amelia, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    ran = amelia("start", "here/issue.md", "--remote")
    assert (ran.code, "not in a git repository" in ran.err) == (2, True)


@pytest.mark.usefixtures("fleet")
def test_a_repository_without_a_commit_says_so(amelia: Amelia, tmp_path: Path) -> None:
    subprocess.run(["git", "init", "-q", str(tmp_path / "fresh")], check=True)
    ran = amelia("start", "issue.md", "--remote", "--repo", str(tmp_path / "fresh"))
    assert (ran.code, "no commit yet" in ran.err) == (2, True)


def test_a_fleet_elsewhere_is_given_the_origin(repository: Path) -> None:
    from amelia.errors import Refused
    from amelia_cli.repository import reachable

    with pytest.raises(Refused, match="cannot see"):
        reachable("", "", "https://amelia.example.com")
    subprocess.run(["git", "remote", "add", "origin", "git@example.com:shop.git"], check=True)
    assert reachable("", "", "https://amelia.example.com") == "git@example.com:shop.git"
    assert reachable("", "", "http://127.0.0.1:8420") == f"file://{repository}"


def test_changes_that_are_not_committed_are_pointed_out(amelia: Amelia, fleet: PretendFleet) -> None:
    Path("total.py").write_text("changed\n")
    assert "not part of it" in amelia("start", "issue.md", "--remote", "--detach").err
    assert fleet.views


def test_an_issue_of_the_profile_s_directory_goes_by_its_name(amelia: Amelia, fleet: PretendFleet) -> None:
    Path("settings.amelia.yaml").write_text("profiles: {default: {tracker: file, issues: docs}}")
    Path("docs").mkdir()
    Path("docs/wrong-total.md").write_text("# T\n")
    assert amelia("start", "wrong-total", "--remote", "--detach").code == 0
    assert asked(fleet).issue.title == "T"
    ran = amelia("start", "wrong-totl", "--remote", "--detach")
    assert (ran.code, "did you mean 'wrong-total'?" in ran.err) == (4, True)
