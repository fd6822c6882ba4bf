import asyncio
import json
import threading
import time
from collections.abc import Callable
from typing import Any

import msgspec
import pytest

from amelia.contract.events import AgentMessage, AgentStarted
from amelia.contract.invocation import Invocation
from amelia.contract.signature import verify
from amelia.contract.workflow import Decision, Left, Money, Note
from amelia.errors import Unavailable
from amelia.orchestrator.job import Ended
from amelia.orchestrator.live import Live
from amelia.ports.agents import Announcer
from amelia_runtime.lifetime import seconds_lived

pytestmark = pytest.mark.filterwarnings("ignore:Support for class-based `config`")  # bedrock_agentcore

Asked = Callable[..., Invocation]
Serve = Callable[[Any], Any]


class Script:
    """A work that says some facts, then chatters until it is let go."""

    def __init__(self, *, facts: int = 3, go: bool = True, ended: Ended | None = None) -> None:
        self.facts = facts
        self.ended = ended or Ended(state="finished", last_fact=facts, result="success")
        self.begun: list[Invocation] = []
        self.lives: list[Live] = []
        self.cancelled: list[int] = []
        self.go = threading.Event()
        self.error: Exception | None = None
        if go:
            self.go.set()

    async def __call__(self, asked: Invocation, announcer: Announcer, live: Live) -> Ended:
        self.begun.append(asked)
        self.lives.append(live)
        try:
            for number in range(1, self.facts + 1):
                said = AgentStarted(id=f"f-{number}", workflow_id=asked.workflow_id, fact=number, agent="architect")
                await announcer.facts([said])
            while not self.go.is_set():
                announcer.progress(AgentMessage(id="p", workflow_id=asked.workflow_id, agent="a", content="still"))
                await asyncio.sleep(0.002)
        except asyncio.CancelledError:
            self.cancelled.append(asked.epoch)
            announcer.progress(AgentMessage(id="p", workflow_id=asked.workflow_id, agent="a", content="last words"))
            raise
        if self.error:
            raise self.error
        return self.ended


def test_it_answers_before_the_work_and_is_busy_exactly_while_it_works(
    serve: Serve, post: Any, asked: Asked, patient: Any
) -> None:
    script = Script(go=False)
    caller = serve(script)
    assert caller.ping == "Healthy"
    assert caller.invoke(asked(1)) == {"outcome": "accepted", "epoch": 1}
    assert caller.ping == "HealthyBusy"
    patient(lambda: post.facts == [1, 2, 3] and post.said("runtime_heartbeat"))
    assert caller.ping == "HealthyBusy"
    script.go.set()
    patient(lambda: caller.ping == "Healthy")
    assert [event["ordinal"] for event in post.said("agent_message")] == [
        n + 1 for n in range(len(post.said("agent_message")))
    ]


def test_it_is_busy_while_the_bus_is_away_and_says_everything_when_it_is_back(
    serve: Serve, post: Any, asked: Asked, patient: Any
) -> None:
    post.away = Unavailable("the bus is away")
    script = Script()
    caller = serve(script)
    caller.invoke(asked(1))
    patient(lambda: script.begun and post.tried > 2)
    assert caller.ping == "HealthyBusy"
    post.away = None
    patient(lambda: caller.ping == "Healthy")
    assert post.facts == [1, 2, 3]


def test_the_same_command_of_the_same_attempt_works_once(serve: Serve, post: Any, asked: Asked, patient: Any) -> None:
    script = Script(go=False)
    caller = serve(script)
    caller.invoke(asked(1))
    patient(lambda: post.facts == [1, 2, 3])
    assert caller.invoke(asked(1, highest_fact=3)) == {"outcome": "duplicate", "epoch": 1, "last_fact": 3}
    script.go.set()
    patient(lambda: caller.ping == "Healthy")
    assert caller.invoke(asked(1, highest_fact=3))["outcome"] == "duplicate"
    patient(lambda: caller.ping == "Healthy")
    assert len(script.begun) == 1
    assert post.facts == [1, 2, 3]


@pytest.mark.parametrize("command", ["c-1", "another"])
def test_facts_the_bus_has_lost_are_said_again_after_the_end(
    serve: Serve, post: Any, asked: Asked, patient: Any, command: str
) -> None:
    script = Script()
    caller = serve(script)
    caller.invoke(asked(1))
    patient(lambda: caller.ping == "Healthy")
    answer = caller.invoke(asked(1, highest_fact=1, command_id=command))
    assert answer == {"outcome": "duplicate" if command == "c-1" else "accepted", "epoch": 1, "last_fact": 3}
    patient(lambda: caller.ping == "Healthy")
    assert post.facts == [1, 2, 3, 2, 3]
    assert len(script.begun) == 1


def test_facts_the_bus_has_lost_are_said_again_during_the_work(
    serve: Serve, post: Any, asked: Asked, patient: Any
) -> None:
    script = Script(go=False)
    caller = serve(script)
    caller.invoke(asked(1))
    patient(lambda: post.facts == [1, 2, 3])
    caller.invoke(asked(1, highest_fact=2))
    patient(lambda: post.facts == [1, 2, 3, 3])


def test_an_older_attempt_is_told_that_it_is_superseded_and_has_no_effect(
    serve: Serve, post: Any, asked: Asked, patient: Any
) -> None:
    script = Script(go=False)
    caller = serve(script)
    caller.invoke(asked(2))
    patient(lambda: post.facts == [1, 2, 3])
    assert caller.invoke(asked(1)) == {"outcome": "superseded", "epoch": 2, "last_fact": 3}
    script.go.set()
    patient(lambda: caller.ping == "Healthy")
    assert [begun.epoch for begun in script.begun] == [2]
    assert {event["attempt"] for event in post.taken} == {2}


@pytest.mark.parametrize("held", [False, True])
def test_no_event_of_an_attempt_leaves_after_a_newer_one_was_accepted(
    serve: Serve, post: Any, asked: Asked, patient: Any, held: bool
) -> None:
    script = Script(go=False)
    caller = serve(script)
    caller.invoke(asked(1))
    patient(lambda: len(post.said("agent_message")) > 3)
    if held:
        post.held.clear()
    assert caller.invoke(asked(2, signing_key="77" * 32))["outcome"] == "accepted"
    before = len(post.taken)
    post.held.set()
    patient(lambda: any(event["attempt"] == 2 and "ordinal" in event for event in post.taken[before:]))
    after = post.taken[before:]
    assert {event["attempt"] for event in after} == {2}
    assert all(verify(event, bytes.fromhex("77" * 32)) for event in after)
    assert script.cancelled == [1]
    assert not [event for event in post.taken if event.get("content") == "last words"]


def test_work_that_is_lost_leaves_the_session_idle_and_silent_and_can_be_taken_up_again(
    serve: Serve, post: Any, asked: Asked, patient: Any
) -> None:
    script = Script()
    script.error = Unavailable("the memory is away")
    caller = serve(script)
    caller.invoke(asked(1))
    patient(lambda: caller.ping == "Healthy")
    script.error = None
    assert caller.invoke(asked(1))["outcome"] == "duplicate"
    patient(lambda: caller.ping == "Healthy")
    assert len(script.begun) == 2
    assert post.facts[:3] == [1, 2, 3]


def test_a_decision_in_the_same_attempt_goes_on_from_the_block(
    serve: Serve, post: Any, asked: Asked, patient: Any
) -> None:
    script = Script(ended=Ended(state="blocked", last_fact=3))
    caller = serve(script)
    caller.invoke(asked(1))
    patient(lambda: caller.ping == "Healthy")
    decision = Decision(kind="approved", block_id="b", plan_sha256="h", by="ada")
    caller.invoke(asked(1, command_id="resume", decision=decision, highest_fact=3))
    patient(lambda: caller.ping == "Healthy")
    assert [begun.decision for begun in script.begun] == [None, decision]
    caller.invoke(asked(1, command_id="resume", decision=decision, highest_fact=3))
    patient(lambda: caller.ping == "Healthy")
    assert len(script.begun) == 2


def test_asked_whether_it_works_it_answers_and_starts_nothing(
    serve: Serve, post: Any, asked: Asked, patient: Any
) -> None:
    script = Script(go=False)
    caller = serve(script)
    assert caller.invoke(asked(1, purpose="ask")) == {"outcome": "idle", "epoch": 0}
    assert (script.begun, caller.ping) == ([], "Healthy")
    caller.invoke(asked(2))
    patient(lambda: post.facts == [1, 2, 3])
    alive = {"epoch": 2, "last_fact": 3}
    assert caller.invoke(asked(2, purpose="ask")) == {"outcome": "duplicate", **alive}
    assert caller.invoke(asked(2, purpose="ask", command_id="sweep")) == {"outcome": "accepted", **alive}
    assert caller.invoke(asked(1, purpose="ask")) == {"outcome": "superseded", **alive}
    script.go.set()
    patient(lambda: caller.ping == "Healthy")
    assert caller.invoke(asked(2, purpose="ask"))["outcome"] == "idle"
    assert caller.ping == "Healthy"
    assert (len(script.begun), post.facts) == (1, [1, 2, 3])


def test_asked_about_a_newer_attempt_it_abandons_its_own(serve: Serve, post: Any, asked: Asked, patient: Any) -> None:
    script = Script(go=False)
    caller = serve(script)
    caller.invoke(asked(1))
    patient(lambda: post.facts == [1, 2, 3])
    assert caller.invoke(asked(2, purpose="ask"))["outcome"] == "idle"
    said = len(post.taken)
    assert script.cancelled == [1]
    patient(lambda: caller.ping == "Healthy")
    assert len(post.taken) == said


def test_messages_and_what_may_be_spent_reach_the_work_that_is_under_way(
    serve: Serve, post: Any, asked: Asked, patient: Any
) -> None:
    script = Script(go=False)
    caller = serve(script)
    caller.invoke(asked(1, left=Left(tokens=5), spent={1: Money(input_tokens=7)}))
    patient(lambda: script.lives)
    [live] = script.lives
    assert (live.notes, live.account.budget.tokens) == ((), 12)
    note = Note(id="m-1", text="faster", by="rosa")
    caller.invoke(asked(1, command_id="c-2", messages=(note,), left=Left(tokens=50), spent={1: Money(input_tokens=8)}))
    assert (live.notes, live.account.budget.tokens) == ((note,), 58)
    live.account.pay(Money(input_tokens=1, cost_microdollars=3))
    used = {"input_tokens": 9, "cost_microdollars": 3}
    patient(lambda: [beat for beat in post.said("runtime_heartbeat") if beat.get("used") == used])
    script.go.set()


def test_the_sessions_end_is_counted_from_the_start_of_the_process(
    serve: Serve, post: Any, asked: Asked, patient: Any
) -> None:
    script = Script()
    caller = serve(script)
    lived = seconds_lived()
    caller.invoke(asked(1, session_seconds=3_600))
    patient(lambda: script.lives)
    ends = script.lives[0].ends
    assert ends is not None
    assert ends.session_seconds == 3_600
    assert round(ends.cut - ends.last_turn) == 120
    assert lived > 0.1
    assert ends.cut + 60 < time.monotonic() + 3_600 - lived


def test_work_that_paused_is_only_said_again(serve: Serve, post: Any, asked: Asked, patient: Any) -> None:
    script = Script(ended=Ended(state="paused", last_fact=3))
    caller = serve(script)
    caller.invoke(asked(1))
    patient(lambda: caller.ping == "Healthy")
    decision = Decision(kind="approved", block_id="b", plan_sha256="h", by="ada")
    caller.invoke(asked(1, highest_fact=2, decision=decision))
    patient(lambda: post.facts == [1, 2, 3, 3])
    assert len(script.begun) == 1


def test_another_sessions_workflow_is_refused(serve: Serve, asked: Asked) -> None:
    caller = serve(Script())
    caller.invoke(asked(1))
    other = asked(1, workflow_id="wf-00000000-0000-0000-0000-000000000000")
    status, answer = caller.send("POST", "/invocations", msgspec.json.encode(other))
    assert status == 409
    assert "invoke wf-00000000" in answer["error"]


@pytest.mark.parametrize(
    ("field", "value", "named"),
    [
        ("epoch", "one", "$.epoch"),
        ("epoch", 0, "counted from 1"),
        ("workflow_id", "wf-1", "workflow id"),
        ("signing_key", "secret key", "hexadecimal"),
        ("signing_key", "5a5a", "shorter than 32 bytes"),
        ("issue", None, "$.issue"),
        ("profile", {"nmae": "x"}, "nmae"),
    ],
)
def test_what_is_not_an_invocation_is_answered_with_the_field_that_is_wrong(
    serve: Serve, asked: Asked, field: str, value: object, named: str
) -> None:
    caller = serve(Script())
    body = json.loads(msgspec.json.encode(asked(1))) | {field: value}
    status, answer = caller.send("POST", "/invocations", json.dumps(body).encode())
    assert status == 400
    assert named in answer["error"]
    assert body["signing_key"] not in answer["error"]


def test_what_earlier_attempts_have_spent_arrives(serve: Serve, asked: Asked, patient: Any) -> None:
    script = Script()
    caller = serve(script)
    spent = {1: Money(input_tokens=7, cost_microdollars=9)}
    caller.invoke(asked(2, spent=spent))
    patient(lambda: caller.ping == "Healthy")
    assert [begun.spent for begun in script.begun] == [spent]


@pytest.mark.parametrize("body", [b"", b"{", b"[]", b'"text"', b"\xff\xfe", b"null"])
def test_a_body_that_is_no_json_object_is_refused(serve: Serve, body: bytes) -> None:
    caller = serve(Script())
    status, answer = caller.send("POST", "/invocations", body)
    assert status == 400
    assert answer["error"]
    assert caller.ping == "Healthy"
