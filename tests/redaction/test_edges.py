"""Where texts of people come in, and where they are kept."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any, cast

import msgspec

from amelia.burial import burying
from amelia.contract.commands import StartWorkflow
from amelia.contract.events import WorkflowSubmitted
from amelia.contract.ids import new_workflow_id
from amelia.contract.workflow import Issue
from amelia.domain.neutral import neutral
from amelia.ports.journal import Journal
from amelia.ports.queues import Message
from amelia_cli.record import Record
from amelia_cli.views import Silent
from amelia_dispatcher.ci import Intake

SECRET = "gh" + "p_" + "a1B2" * 9


class Paper:
    """A journal that only listens."""

    def __init__(self) -> None:
        self.buried: list[Any] = []
        self.orders: list[StartWorkflow] = []

    async def bury(self, burials: Sequence[Any]) -> None:
        self.buried += burials

    async def execute(self, command: StartWorkflow, fingerprint: str) -> Any:
        self.orders.append(command)
        return msgspec.json.decode(b'{"repeated": false}', type=_Executed)


class _Executed(msgspec.Struct):
    repeated: bool


def message(body: object) -> Message:
    text = body if isinstance(body, str) else json.dumps(body)
    return Message(id="m", receipt="r", body=text, receives=1, sender="AROAEXAMPLE:run")


async def test_an_order_from_ci_is_recorded_without_secrets() -> None:
    paper = Paper()
    intake = Intake(cast("Journal", paper), {"AROAEXAMPLE": "blue"}, allow_file=True, judges=False)
    order = {
        "type": "start_workflow",
        "id": "run-1",
        "issue": {"id": "I-1", "title": f"Use {SECRET}", "body": "The password is hunter2-hunter2."},
        "repository": "https://git.example/a/b.git",
    }
    await intake.handle([message(order)])
    [command] = paper.orders
    assert (command.issue.title, command.issue.body) == (
        "Use [redacted:github-token]",
        "The password is [redacted:password]",
    )
    assert command.repository == "https://git.example/a/b.git"


async def test_a_dead_letter_is_kept_without_secrets() -> None:
    paper = Paper()
    bury = burying(cast("Journal", paper), "ci")
    await bury(message({"say": f'"{SECRET}"'}), f"it does not decode: {SECRET}")
    await bury(message(f"no json: {SECRET}"), "why")
    first, second = paper.buried
    assert (json.loads(first.body), first.cause) == (
        {"say": '"[redacted:github-token]"'},
        "it does not decode: [redacted:github-token]",
    )
    assert second.body == "no json: [redacted:github-token]"


def test_the_record_of_work_in_this_process_has_no_secrets_in_it(tmp_path: Path) -> None:
    record = Record(tmp_path / "run", Silent())
    issue = Issue(id="I-1", title="Log in", body=f"with {SECRET}")
    record.append(
        WorkflowSubmitted(id="1", workflow_id=new_workflow_id(), issue=issue, repository="file:///x", owner="ada")
    )
    record.close()
    assert SECRET not in (tmp_path / "run" / "events.jsonl").read_text()
    assert record.row.issue.body == "with [redacted:github-token]"


def test_what_is_shown_to_people_elsewhere_has_no_secrets_in_it() -> None:
    assert neutral(f"Set password=hunter2-hunter2 and {SECRET}.", 1_000) == "Set password=… and …."
