"""Orders from CI's own queue."""

import asyncio
import json
import os
import re
import shutil
import stat
import subprocess
import sys
import textwrap
from pathlib import Path
from typing import Any

import pytest
import yaml

from amelia.consumer import DONE, Consumer
from amelia.contract import commands as c
from amelia.contract.ids import derived_workflow_id
from amelia.contract.workflow import Issue, Profile
from amelia.errors import NotFound, Refused, Unavailable
from amelia.ports.queues import Message
from amelia_dispatcher.ci import Intake, teams_of

from ..inmemory import MemoryQueue
from ..samples import eventually
from .conftest import World

DOC = (Path(__file__).parents[2] / "docs" / "ci.md").read_text()
SENDER = "AROAEXAMPLE:session"
ORDER: dict[str, Any] = {
    "type": "start_workflow",
    "id": "run-1",
    "repository": "https://example.org/r.git",
    "issue": {"id": "PROJ-7", "title": "Totals are a cent short"},
}


def intake(world: World, *, judges: bool = True) -> Intake:
    return Intake(world.journal, {"AROAEXAMPLE": "blue", "AIDAOTHER": "red"}, allow_file=False, judges=judges)


def message(body: dict[str, Any] | str, sender: str = SENDER) -> Message:
    return Message(id="1", body=body if isinstance(body, str) else json.dumps(body), receipt="1", sender=sender)


async def said(world: World, body: dict[str, Any] | str, sender: str = SENDER, **options: Any) -> str:
    """Empty when it was taken."""
    [verdict] = await intake(world, **options).handle([message(body, sender)])
    assert verdict == DONE or verdict.kind == "dead"
    return verdict.reason


async def test_an_order_begins_a_workflow_of_the_senders_team(world: World) -> None:
    assert not await said(world, {**ORDER, "actor": "octocat", "priority": 3})
    w = await world.workflow(derived_workflow_id("blue", "run-1"))
    assert (w.team, w.owner, w.priority, w.auto_approve) == ("blue", "ci/blue", 3, False)
    [told] = await world.sql("SELECT actor FROM command")
    assert told["actor"] == "ci/blue/octocat"
    async with world.running():
        await world.until(w.id, status="in_progress")


async def test_the_same_order_again_attaches_to_its_workflow_and_another_one_is_refused(world: World) -> None:
    for again in ({}, {"actor": "somebody else", "timestamp": "2026-11-22T12:00:00Z", "traceparent": "00-a"}):
        assert not await said(world, {**ORDER, **again})
    assert "another" in await said(world, {**ORDER, "issue": {"id": "PROJ-8", "title": "Another one"}})
    assert not await said(world, ORDER, sender="AIDAOTHER"), "the ids of another team are its own"
    rows = await world.sql("SELECT team FROM workflow ORDER BY team")
    assert [row["team"] for row in rows] == ["blue", "red"]


async def test_what_the_body_says_about_whose_it_is_is_not_believed(world: World) -> None:
    theirs = (await world.submitted()).workflow_id
    before = await world.workflow(theirs)
    assert not await said(world, {**ORDER, "workflow_id": theirs, "owner": "ada", "team": "red"})
    w = await world.workflow(derived_workflow_id("blue", "run-1"))
    assert (w.owner, w.team) == ("ci/blue", "blue")
    assert await world.workflow(theirs) == before


async def test_plans_are_approved_by_the_rules_alone(world: World) -> None:
    for judges in (True, False):
        assert not await said(world, {**ORDER, "id": f"run-{judges}", "auto_approve": True}, judges=judges)
        assert (await world.workflow(derived_workflow_id("blue", f"run-{judges}"))).auto_approve is judges


@pytest.mark.parametrize(
    ("change", "sender", "reason"),
    [
        ({"type": "cancel_workflow"}, SENDER, "takes start_workflow alone"),
        ({}, "AROASTRANGER:x", "AROASTRANGER is no sender of CI's queue; add AROASTRANGER=TEAM to AMELIA_CI_TEAMS"),
        ({}, "", "somebody the queue does not name is no sender"),
        ({"id": ""}, SENDER, "has no id"),
        ({"repository": "--upload-pack=x"}, SENDER, "no address of a repository"),
        ({"repository": "file:///etc"}, SENDER, "works on remote repositories only"),
        ({"repository": "https://x/" + "a" * 2000}, SENDER, "more than 2000 characters"),
        ({"base": "-x"}, SENDER, "no name of a branch"),
        ({"command": "rm"}, SENDER, "unknown field `command`"),
        ({"issue": {"id": ""}}, SENDER, "not a command"),
    ],
)
async def test_what_cannot_be_taken_is_a_dead_letter_with_its_cause(
    world: World, change: dict[str, Any], sender: str, reason: str
) -> None:
    body = {**ORDER, **change}
    if change.get("type"):
        body = {"type": change["type"], "id": "1", "workflow_id": (await world.submitted()).workflow_id}
    assert reason in await said(world, body, sender)
    assert len(await world.sql("SELECT id FROM workflow WHERE owner LIKE 'ci/%'")) == 0


async def test_what_is_no_json_is_a_dead_letter(world: World) -> None:
    for body in ("", "{", "[]", '"start_workflow"', "[" * 5000):
        assert await said(world, body)


async def test_an_order_is_acknowledged_when_it_is_in_the_journal_and_not_before(world: World) -> None:
    taking = intake(world)
    queue, stop, execute = MemoryQueue(), asyncio.Event(), world.journal.execute

    async def away(command: c.AnyCommand, fingerprint: str = "") -> Any:
        raise Unavailable("the database is away")

    world.journal.execute = away  # type: ignore[method-assign]
    queue.ready.append(message(ORDER))
    consuming = asyncio.create_task(Consumer(queue, taking.handle, in_flight=1, max_receives=3).run(stop))
    await eventually(lambda: _is(bool(queue.out)), "it was received")
    assert queue.done == []
    world.journal.execute = execute  # type: ignore[method-assign]
    await eventually(lambda: _is(bool(queue.done)), "it was acknowledged")
    assert queue.dead == []
    await world.workflow(derived_workflow_id("blue", "run-1"))
    stop.set()
    await consuming


def test_the_teams_are_read_as_pairs_or_as_json() -> None:
    assert teams_of(" A=blue, B = red,") == {"A": "blue", "B": "red"}
    assert teams_of('{"A": "blue"}') == {"A": "blue"}
    assert teams_of("") == {}
    for wrong in ("A", "=blue", "A=", '{"A": 1}'):
        with pytest.raises(Refused, match="AMELIA_CI_TEAMS"):
            teams_of(wrong)


async def test_on_a_laptop_everybody_may_be_one_team(world: World) -> None:
    [verdict] = await Intake(world.journal, teams_of("*=blue"), allow_file=True, judges=False).handle(
        [message({**ORDER, "repository": "file:///tmp/r"}, sender="000000000000")]
    )
    assert verdict == DONE


# The page

BLOCKS = re.findall(r"```(yaml|sh)\n(.*?)```", DOC, re.DOTALL)


def sent(script: str, folder: Path, **environ: str) -> dict[str, Any]:
    """What the script would have sent: ``aws`` only keeps the body."""
    program = f"""\
        #!{sys.executable}
        import pathlib, sys
        named = dict(zip(sys.argv[3::2], sys.argv[4::2]))
        assert sys.argv[1:3] == ["sqs", "send-message"] and named["--queue-url"] == "the-queue", sys.argv
        body = named["--message-body"]
        pathlib.Path("sent").write_text(pathlib.Path(body[7:]).read_text() if body.startswith("file://") else body)
        """
    pretended = folder / "aws"
    pretended.write_text(textwrap.dedent(program))
    pretended.chmod(pretended.stat().st_mode | stat.S_IXUSR)
    known = {"PATH": f"{folder}:{os.environ['PATH']}", "QUEUE": "the-queue", **environ}
    done = subprocess.run(["bash", "-euc", script], cwd=folder, env=known, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    found: dict[str, Any] = json.loads((folder / "sent").read_text())
    return found


async def test_the_line_on_the_page_is_an_order(world: World, tmp_path: Path) -> None:
    [script] = [text for kind, text in BLOCKS if kind == "sh"]
    assert not await said(world, sent(script, tmp_path))


@pytest.mark.skipif(shutil.which("jq") is None, reason="the example needs jq")
async def test_the_job_on_the_page_starts_a_workflow_whatever_the_issue_says(world: World, tmp_path: Path) -> None:
    [page] = [text for kind, text in BLOCKS if kind == "yaml"]
    assert len(page.splitlines()) <= 20
    job = yaml.safe_load(page)["jobs"]["amelia"]
    github = {"GITHUB_REPOSITORY": "acme/shop", "GITHUB_ACTOR": "octocat", "GITHUB_SERVER_URL": "https://github.com"}
    title, body = 'a "quoted" $(touch x) `title`', "two\nlines \\ and ' more"
    assert set(job["env"]) == {"NUMBER", "TITLE", "BODY"}
    told = sent(job["steps"][-1]["run"], tmp_path, NUMBER="7", TITLE=title, BODY=body, **github)
    assert not await said(world, told)
    w = await world.workflow(derived_workflow_id("blue", "acme/shop/issues/7"))
    assert (w.issue.title, w.issue.body, w.repository) == (title, body, "https://github.com/acme/shop.git")
    assert w.auto_approve
    assert not (tmp_path / "x").exists()


def test_the_page_names_only_fields_that_there_are() -> None:
    named = re.findall(r"^\| (`.*?) \|", DOC, re.MULTILINE)
    fields = {name for cell in named for name in re.findall(r"`(\w+)`", cell)}
    assert fields <= {*c.StartWorkflow.__struct_fields__, "type"}


async def _is(what: bool) -> bool:
    return what


class Looking:
    """Reads references, unless it is away."""

    def __init__(self) -> None:
        self.fails: Exception | None = None
        self.read: list[str] = []

    async def complete(self, issue: Issue, profile: Profile, repository: str) -> tuple[Issue, Profile]:
        if issue.title:
            return issue, profile
        if self.fails is not None:
            raise self.fails
        self.read.append(issue.id)
        return Issue(id=issue.id, title="Read", body="from the tracker"), Profile(tracker="github")


async def test_a_reference_is_looked_up_once_and_a_tracker_that_is_away_holds_up_nobody_else(world: World) -> None:
    looking = Looking()
    teams = {"AROAEXAMPLE": "blue"}
    taking = Intake(world.journal, teams, allow_file=False, judges=True, issues=looking, pause_seconds=0)
    referred = message({**ORDER, "issue": {"id": "acme/shop#7"}})
    other = message({**ORDER, "id": "run-2"})
    looking.fails = Unavailable("the tracker is away")
    first, second = await taking.handle([referred, other])
    assert (first.kind, second) == ("again", DONE)
    looking.fails = None
    assert await taking.handle([referred]) == [DONE]
    w = await world.workflow(derived_workflow_id("blue", "run-1"))
    assert (w.issue.title, w.profile.tracker) == ("Read", "github")
    looking.fails = Unavailable("the tracker is away")
    assert await taking.handle([referred]) == [DONE], "it is there already"
    looking.fails = NotFound("there is no such issue")
    [lost] = await taking.handle([message({**ORDER, "id": "run-3", "issue": {"id": "acme/shop#8"}})])
    assert (lost.kind, lost.reason) == ("dead", "there is no such issue")


async def test_a_reference_without_a_tracker_says_that_the_title_lacks(world: World) -> None:
    assert "no title" in await said(world, {**ORDER, "issue": {"id": "acme/shop#7"}})
