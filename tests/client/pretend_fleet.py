"""A control plane without agents: the REST API and the stream by a real server, and faults to order."""

import asyncio
import json
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any
from urllib.parse import parse_qs

import msgspec
import uvicorn

from amelia.contract.codec import encode
from amelia.contract.envelope import Event
from amelia.contract.ids import derived_workflow_id, new_workflow_id
from amelia.contract.plan import Plan, Task, plan_sha256
from amelia.contract.views import (
    ArtifactList,
    ArtifactView,
    DeadLetterPage,
    DeadLetterView,
    DecisionRequest,
    LessonList,
    LessonView,
    MessageRequest,
    PauseRequest,
    PlanView,
    QueueView,
    ResumeRequest,
    RetryRequest,
    ReviseRequest,
    StartRequest,
    UsageView,
    WorkflowPage,
    WorkflowView,
)
from amelia.contract.workflow import Issue, Money, Note

TOKEN = "a-token-of-this-state-directory"
PLAN = Plan(
    summary="Round once, at the end.",
    tasks=(Task(id="round", title="Round the total", description="Not each line.", verification="pytest"),),
    test_command="pytest",
)


class Refusal(Exception):
    def __init__(self, status: int, detail: str, **more: str) -> None:
        super().__init__(detail)
        self.status, self.detail, self.more = status, detail, more


class PretendFleet:
    """``faults``, one for each connection of the stream: ``drop N``, ``repeat``, ``gap``, ``batch``, ``503``."""

    def __init__(self) -> None:
        self.views: dict[str, WorkflowView] = {}
        self.plans: dict[str, Plan] = {}
        self.events: dict[str, list[bytes]] = {}
        self.keys: dict[str, str] = {}
        self.requests: list[tuple[str, str, bytes]] = []
        self.decisions: list[DecisionRequest] = []
        self.faults: list[str] = []
        self.refusal = b'{"detail": "not that one"}'
        self.told: list[bytes] = []
        self.asked: list[str] = []
        self.answers: list[tuple[int, bytes]] = []
        self.queue = QueueView(in_progress=0, limit=2, waiting=0, items=())
        self.letters: dict[str, DeadLetterView] = {}
        self.lessons: list[LessonView] = []
        self.artifacts: tuple[ArtifactView, ...] = ()
        self.bundle: bytes | None = b"# v2 git bundle\n"
        self.plan_facts: dict[str, Any] = {}
        self.starts_as: dict[str, Any] = {"status": "pending"}
        self.url = ""
        self.on_start: Callable[[str, StartRequest], None] = lambda workflow_id, asked: None
        self.on_decision: Callable[[str, str], None] = lambda workflow_id, kind: None

    def add(self, **fields: Any) -> WorkflowView:
        view = new_view(**fields)
        self.views[view.id] = view
        self.events.setdefault(view.id, [])
        return view

    def change(self, workflow_id: str, **fields: Any) -> WorkflowView:
        changed = msgspec.structs.replace(self.views[workflow_id], **fields)
        self.views[workflow_id] = changed
        return changed

    def say(self, workflow_id: str, *events: Event | dict[str, Any]) -> None:
        """Events get their sequence here, and the view its newest."""
        for event in events:
            fields = event if isinstance(event, dict) else json.loads(encode(event))
            sequence = len(self.events[workflow_id]) + 1
            self.change(workflow_id, sequence=sequence)
            self.events[workflow_id].append(json.dumps({**fields, "sequence": sequence}).encode())

    def tell(self, event: Event, sequence: int) -> None:
        """On the fleet's stream, where the n-th has the cursor ``n-0``."""
        place = {"cursor": f"{len(self.told) + 1}-0", "sequence": sequence}
        self.told.append(json.dumps({**place, **json.loads(encode(event))}).encode())

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] == "http":
            await self._http(scope, receive, send)
        elif scope["type"] == "websocket":
            await self._stream(scope, receive, send)

    async def _http(self, scope: Any, receive: Any, send: Any) -> None:
        body, more = b"", True
        while more:
            message = await receive()
            body, more = body + message.get("body", b""), message.get("more_body", False)
        self.requests.append((scope["method"], scope["path"], body))
        try:
            status, answer = self.answers.pop(0) if self.answers else self._answer(scope, body)
        except Refusal as refusal:
            problem = {"type": "about:blank", "title": "No", "status": refusal.status, "detail": refusal.detail}
            status, answer = refusal.status, json.dumps({**problem, **refusal.more}).encode()
        headers = [(b"idempotency-replayed", b"true")] if self._replayed(scope, status) else []
        await send({"type": "http.response.start", "status": status, "headers": headers})
        await send({"type": "http.response.body", "body": answer})

    def _replayed(self, scope: Any, status: int) -> bool:
        key = dict(scope["headers"]).get(b"idempotency-key", b"").decode()
        if not key or status >= 300:
            return False
        name = f"{scope['path']} {key}"
        before, self.keys[name] = name in self.keys, ""
        return before

    def _answer(self, scope: Any, body: bytes) -> tuple[int, bytes]:
        headers = {name.decode(): value.decode() for name, value in scope["headers"]}
        if headers.get("authorization") != f"Bearer {TOKEN}":
            raise Refusal(401, "show the token of the state directory")
        query = {name: values[0] for name, values in parse_qs(scope["query_string"].decode()).items()}
        method, (what, *rest) = scope["method"], scope["path"].removeprefix("/api/v1/").split("/")
        if what == "queue":
            return 200, msgspec.json.encode(self.queue)
        if what == "lessons":
            return 200, self._lessons(method, rest, query)
        if what == "dead-letters":
            return 200, self._letter(rest, query)
        parts = rest or [""]
        if not parts[0]:
            return self._start(headers, body) if method == "POST" else (200, self._list(query))
        view = self.views.get(parts[0])
        if view is None:
            raise Refusal(404, f"there is no workflow {parts[0]}")
        return 200, self._about(view, method, "/".join(parts[1:]), query, body)

    def _lessons(self, method: str, rest: list[str], query: dict[str, str]) -> bytes:
        if method == "GET":
            found = [x for x in self.lessons if query.get("repository") in (None, x.repository)]
            return msgspec.json.encode(LessonList(items=tuple(found)))
        gone = next(x for x in self.lessons if x.id == rest[0])
        self.lessons.remove(gone)
        return msgspec.json.encode(gone)

    def _letter(self, rest: list[str], query: dict[str, str]) -> bytes:
        if not rest:
            found = [x for x in self.letters.values() if query.get("state") in (None, x.state)]
            first, limit = int(query.get("cursor", "0")), int(query["limit"])
            following = str(first + limit) if len(found) > first + limit else ""
            return msgspec.json.encode(DeadLetterPage(items=tuple(found[first : first + limit]), next=following))
        letter = self.letters.get(rest[0])
        if letter is None:
            raise Refusal(404, f"there is no dead letter {rest[0]}")
        if rest[1:]:
            if letter.state != "waiting":
                raise Refusal(409, f"{letter.id} is {letter.state}; only what waits can be decided")
            state = {"redrive": "redriven", "discard": "discarded"}[rest[1]]
            letter = self.letters[letter.id] = msgspec.structs.replace(letter, state=state)
        return msgspec.json.encode(letter)

    def _start(self, headers: dict[str, str], body: bytes) -> tuple[int, bytes]:
        asked = msgspec.json.decode(body, type=StartRequest)
        workflow_id = derived_workflow_id("team", headers["idempotency-key"])
        if workflow_id not in self.views:
            started = {"issue": asked.issue, "repository": asked.repository, "profile": asked.profile.name}
            self.add(id=workflow_id, **started, **self.starts_as)
            self.on_start(workflow_id, asked)
        return 202, msgspec.json.encode(self.views[workflow_id])

    def _list(self, query: dict[str, str]) -> bytes:
        found = [v for v in self.views.values() if query.get("status") in (None, v.status)]
        first, limit = int(query.get("cursor", "0")), int(query["limit"])
        following = str(first + limit) if len(found) > first + limit else ""
        return msgspec.json.encode(WorkflowPage(items=tuple(found[first : first + limit]), next=following))

    def _about(self, view: WorkflowView, method: str, what: str, query: dict[str, str], body: bytes) -> bytes:
        match method, what:
            case "GET", "":
                return msgspec.json.encode(view)
            case "GET", "plan":
                return msgspec.json.encode(self._plan(view))
            case "GET", "usage":
                return msgspec.json.encode(UsageView(workflow_id=view.id, spent=view.spent, attempts={1: view.spent}))
            case "GET", "diff":
                return b"--- a/total.py\n+++ b/total.py\n\xff\n"
            case "GET", "artifacts":
                return msgspec.json.encode(ArtifactList(workflow_id=view.id, items=self.artifacts))
            case "GET", "artifacts/work.bundle" if self.bundle is not None:
                return self.bundle
            case "POST", "approve" | "reject":
                return self._decide(view, what, msgspec.json.decode(body, type=DecisionRequest))
            case "POST", "revise":
                wanted = msgspec.json.decode(body, type=ReviseRequest)
                named = DecisionRequest(
                    block_id=wanted.block_id, plan_sha256=wanted.plan_sha256, feedback=wanted.feedback
                )
                return self._decide(view, what, named)
            case "POST", "pause":
                reason = msgspec.json.decode(body, type=PauseRequest).reason
                return msgspec.json.encode(self.change(view.id, status="paused", reason=f"paused by you: {reason}"))
            case "POST", "resume":
                budget = msgspec.json.decode(body, type=ResumeRequest).budget or view.budget
                return msgspec.json.encode(self.change(view.id, status="pending", reason="resumed", budget=budget))
            case "POST", "retry":
                start = msgspec.json.decode(body, type=RetryRequest).start
                return msgspec.json.encode(self.change(view.id, status="pending", reason=f"from start: {start}"))
            case "POST", "messages":
                note = Note(id="n", text=msgspec.json.decode(body, type=MessageRequest).text, by="you")
                return msgspec.json.encode(self.change(view.id, messages=(*view.messages, note)))
            case "DELETE", "":
                if view.status in ("completed", "failed"):
                    raise Refusal(
                        409, f"{view.id} is {view.status}; only workflows that have not ended can be cancelled"
                    )
                reason = f"cancelled by you: {query.get('reason', '')}"
                return msgspec.json.encode(self.change(view.id, status="cancelled", reason=reason))
        raise Refusal(404, "no such route")

    def _plan(self, view: WorkflowView) -> PlanView:
        if view.id not in self.plans:
            raise Refusal(404, f"{view.id} has no plan yet")
        plan = self.plans[view.id]
        known = {"workflow_id": view.id, "plan": plan, "plan_sha256": plan_sha256(plan), "block_id": view.block_id}
        return PlanView(**{**known, **self.plan_facts})

    def _decide(self, view: WorkflowView, what: str, asked: DecisionRequest) -> bytes:
        if view.status != "blocked":
            raise Refusal(409, f"{view.id} is {view.status}; only blocked workflows can be decided")
        if asked.plan_sha256 not in ("", view.plan_sha256):
            detail = f"the plan of {view.id} is {view.plan_sha256} now; look at it again and decide that"
            raise Refusal(409, detail, changes="--- the plan before\n+++ the plan now\n+round\x1b[2J")
        self.decisions.append(asked)
        self.change(view.id, status={"approve": "approved", "reject": "failed", "revise": "pending"}[what])
        self.on_decision(view.id, what)
        return msgspec.json.encode(self.views[view.id])

    async def _stream(self, scope: Any, receive: Any, send: Any) -> None:
        await receive()
        fault = self.faults.pop(0) if self.faults else ""
        if scope["path"] == "/api/v1/events" and not fault.isdecimal():
            await self._stream_all(scope, receive, send, fault)
            return
        workflow_id = scope["path"].split("/")[-2]
        if fault.isdecimal() or workflow_id not in self.views:
            status = int(fault) if fault else 404
            await send({"type": "websocket.http.response.start", "status": status, "headers": []})
            await send({"type": "websocket.http.response.body", "body": self.refusal})
            return
        await send({"type": "websocket.accept"})
        if fault == "close 4404":
            await send({"type": "websocket.close", "code": 4404, "reason": "it is gone"})
            return
        after = int(parse_qs(scope["query_string"].decode())["after"][0])
        gone = asyncio.ensure_future(_until_gone(receive))
        try:
            await self._send_events(workflow_id, after, fault, send, gone)
        finally:
            gone.cancel()

    async def _stream_all(self, scope: Any, receive: Any, send: Any, fault: str) -> None:
        self.asked.append(scope["query_string"].decode())
        await send({"type": "websocket.accept"})
        after = parse_qs(self.asked[-1], keep_blank_values=True)["after"][0]
        place, drop = int((after or f"{len(self.told)}-0").partition("-")[0]), int(fault.partition(" ")[2] or 0)
        gone = asyncio.ensure_future(_until_gone(receive))
        await _text(send, f'{{"type":"caught_up","cursor":"{place}-0"}}'.encode())
        while not gone.done():
            fresh = self.told[place : place + drop if drop else None]
            if fault == "batch" and fresh:
                await _text(send, b"[" + b",".join(fresh) + b"]")
            else:
                for event in fresh:
                    await _text(send, event)
            place += len(fresh)
            if drop and fresh:
                await send({"type": "websocket.close", "code": 1012})
                break
            await _text(send, f'{{"type":"ping","timestamp":"2026-01-01T00:00:00Z","cursor":"{place}-0"}}'.encode())
            await asyncio.sleep(0.02)
        gone.cancel()

    async def _send_events(
        self, workflow_id: str, after: int, fault: str, send: Any, gone: "asyncio.Future[None]"
    ) -> None:
        place, caught_up = after, False
        if fault == "repeat":
            place = 0
        while not gone.done():
            events = self.events[workflow_id][place:]
            if fault == "gap" and len(events) > 1:
                events = events[1:]
            if fault == "batch" and events:
                await _text(send, b"[" + b",".join([*events, b'{"type":"caught_up","sequence":0}']) + b"]")
            else:
                for number, event in enumerate(events):
                    if fault.startswith("drop") and number == int(fault.split()[1]):
                        await send({"type": "websocket.close", "code": 1011})
                        return
                    await _text(send, event)
            place = len(self.events[workflow_id])
            if not caught_up:
                await _text(send, json.dumps({"type": "caught_up", "sequence": place}).encode())
                caught_up = True
            await asyncio.sleep(0.01)
            if not events:
                await _text(send, b'{"type":"ping","timestamp":"2026-01-01T00:00:00Z"}')
                await asyncio.sleep(0.05)


async def _text(send: Any, body: bytes) -> None:
    await send({"type": "websocket.send", "text": body.decode()})


async def _until_gone(receive: Any) -> None:
    while (await receive())["type"] != "websocket.disconnect":
        pass


def new_view(**fields: Any) -> WorkflowView:
    known: dict[str, Any] = {
        "id": new_workflow_id(),
        "status": "in_progress",
        "phase": "",
        "reason": "",
        "issue": Issue(id="wrong-total", title="Totals are wrong", body="By a cent."),
        "repository": "file:///tmp/shop",
        "base": "",
        "branch": "amelia/wrong-total-1234",
        "commit": "",
        "owner": "me",
        "profile": "default",
        "auto_approve": False,
        "attempt": 1,
        "sequence": 0,
        "block_id": "",
        "plan_sha256": "",
        "spent": Money(input_tokens=1200, output_tokens=300, cost_microdollars=8_100),
        "created_at": "2026-01-01T00:00:00Z",
        "updated_at": "2026-01-01T00:01:00Z",
    }
    return WorkflowView(**{**known, **fields})


class Stage:
    """One server for many fleets, one after the other."""

    def __init__(self) -> None:
        self.fleet = PretendFleet()

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        await self.fleet(scope, receive, send)


@contextmanager
def serving(fleet: PretendFleet | Stage, port: int = 0) -> Iterator[str]:
    """The address at which the fleet answers, until the block ends; every connection is cut then."""
    config = uvicorn.Config(
        fleet,
        host="127.0.0.1",
        port=port,
        log_level="critical",
        lifespan="off",
        ws="websockets-sansio",
        timeout_graceful_shutdown=0,
    )
    server = uvicorn.Server(config)
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    while not server.started:
        thread.join(0.005)
        if not thread.is_alive():
            raise RuntimeError("the server did not start")
    try:
        yield f"http://127.0.0.1:{server.servers[0].sockets[0].getsockname()[1]}"
    finally:
        server.should_exit = True
        thread.join()
