"""The control plane's REST API, asked synchronously: one connection for each request."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, TypeVar
from urllib.parse import quote, urlencode, urlsplit

import msgspec

from ..contract.views import (
    ArtifactList,
    DeadLetterPage,
    DeadLetterView,
    LessonList,
    LessonView,
    MessageRequest,
    PauseRequest,
    PlanView,
    QueueView,
    ResumeRequest,
    RetryRequest,
    UsageView,
    WorkflowPage,
    WorkflowView,
)
from ..errors import NotFound, Refused, Unavailable
from . import exchange
from .problems import no_answer, problem

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ..contract.views import DecisionRequest, ReviseRequest, StartRequest
    from ..contract.workflow import Budget

PREFIX = "/api/v1"
_T = TypeVar("_T")


class ControlPlane:
    """``url`` as ``discover`` gives it. Every call raises ``Unauthorised``, ``NotFound``, ``Conflict``, ``Refused``
    or ``Unavailable`` with the control plane's own sentence; ``timeout`` is seconds for each step of an exchange."""

    def __init__(self, url: str, token: str = "", *, timeout: float = 30.0) -> None:
        parts = urlsplit(url)
        try:
            self._host, port = parts.hostname or "", parts.port
        except ValueError as error:
            raise Refused(f"{url!r} is no address of a fleet: {error}; give one like http://127.0.0.1:8420") from error
        if parts.scheme not in ("http", "https") or not self._host:
            raise Refused(f"{url!r} is no address of a fleet; give one like http://127.0.0.1:8420")
        self.url = url.rstrip("/")
        self.token = token
        self._secure = parts.scheme == "https"
        self._port = port or (443 if self._secure else 80)
        self._name = parts.netloc.rpartition("@")[2]
        self._path = parts.path.rstrip("/") + PREFIX
        self._timeout = timeout

    def start(self, request: "StartRequest", *, key: str) -> WorkflowView:
        """``key`` makes it once: the same key with the same request is the same workflow. Tried again by itself."""
        return self.attach(request, key=key)[0]

    def attach(self, request: "StartRequest", *, key: str) -> tuple[WorkflowView, bool]:
        """As ``start``; and whether the key had started it before this call."""
        body, headers = msgspec.json.encode(request), {"Idempotency-Key": key}
        try:
            answer = self._answer("POST", "/workflows", body, headers)
        except Unavailable:
            started = self._read(self._answer("POST", "/workflows", body, headers).body, WorkflowView)
            return started, False
        return self._read(answer.body, WorkflowView), _replayed(answer)

    def workflows(
        self,
        *,
        status: "str | Sequence[str]" = "",
        owner: str = "",
        repository: str = "",
        limit: int = 50,
        cursor: str = "",
    ) -> WorkflowPage:
        query = [("status", one) for one in ([status] if isinstance(status, str) else status)]
        query += [("owner", owner), ("repository", repository), ("limit", str(limit)), ("cursor", cursor)]
        return self._read(self._ask("GET", f"/workflows{_query(query)}"), WorkflowPage)

    def workflow(self, workflow_id: str) -> WorkflowView:
        return self._read(self._ask("GET", _of(workflow_id)), WorkflowView)

    def plan(self, workflow_id: str) -> PlanView:
        return self._read(self._ask("GET", _of(workflow_id, "plan")), PlanView)

    def usage(self, workflow_id: str) -> UsageView:
        return self._read(self._ask("GET", _of(workflow_id, "usage")), UsageView)

    def diff(self, workflow_id: str) -> bytes:
        """The change as a unified diff, in the bytes git wrote."""
        return self._ask("GET", _of(workflow_id, "diff"))

    def artifacts(self, workflow_id: str) -> ArtifactList:
        return self._read(self._ask("GET", _of(workflow_id, "artifacts")), ArtifactList)

    def artifact(self, workflow_id: str, name: str) -> bytes:
        return self._ask("GET", _of(workflow_id, f"artifacts/{quote(name, safe='')}"))

    def approve(self, workflow_id: str, decision: "DecisionRequest", *, key: str = "") -> WorkflowView:
        """Raises ``Conflict`` when another plan waits by now; its notes hold what changed. ``key`` makes this order,
        like those below, one that may be given again."""
        return self._order(workflow_id, "approve", decision, key)

    def reject(self, workflow_id: str, decision: "DecisionRequest", *, key: str = "") -> WorkflowView:
        return self._order(workflow_id, "reject", decision, key)

    def revise(self, workflow_id: str, request: "ReviseRequest", *, key: str = "") -> WorkflowView:
        return self._order(workflow_id, "revise", request, key)

    def pause(self, workflow_id: str, reason: str = "", *, key: str = "") -> WorkflowView:
        return self._order(workflow_id, "pause", PauseRequest(reason=reason), key)

    def resume(self, workflow_id: str, budget: "Budget | None" = None, *, key: str = "") -> WorkflowView:
        return self._order(workflow_id, "resume", ResumeRequest(budget=budget), key)

    def retry(self, workflow_id: str, *, start: bool = False, key: str = "") -> WorkflowView:
        return self._order(workflow_id, "retry", RetryRequest(start=start), key)

    def message(self, workflow_id: str, text: str, *, key: str = "") -> WorkflowView:
        return self._order(workflow_id, "messages", MessageRequest(text=text), key)

    def cancel(self, workflow_id: str, reason: str = "", *, key: str = "") -> WorkflowView:
        path = _of(workflow_id) + _query([("reason", reason)])
        return self._read(self._ask("DELETE", path, headers=_keyed(key)), WorkflowView)

    def queue(self) -> QueueView:
        return self._read(self._ask("GET", "/queue?limit=1000"), QueueView)

    def lessons(self, repository: str = "") -> LessonList:
        return self._read(self._ask("GET", f"/lessons{_query([('repository', repository)])}"), LessonList)

    def forget(self, lesson_id: str) -> LessonView:
        return self._read(self._ask("DELETE", f"/lessons/{quote(lesson_id, safe='')}"), LessonView)

    def dead_letters(self, *, state: str = "", limit: int = 50, cursor: str = "") -> DeadLetterPage:
        query = _query([("state", state), ("limit", str(limit)), ("cursor", cursor)])
        return self._read(self._ask("GET", f"/dead-letters{query}"), DeadLetterPage)

    def dead_letter(self, letter_id: str) -> DeadLetterView:
        return self._read(self._ask("GET", _letter(letter_id)), DeadLetterView)

    def redrive(self, letter_id: str) -> DeadLetterView:
        """Sent to its queue again as it was. Raises ``Conflict`` when it no longer waits."""
        return self._read(self._ask("POST", _letter(letter_id, "redrive"), b""), DeadLetterView)

    def discard(self, letter_id: str) -> DeadLetterView:
        return self._read(self._ask("POST", _letter(letter_id, "discard"), b""), DeadLetterView)

    def waiting_letters(self) -> list[str]:
        """The ids of all dead letters that wait, newest first."""
        page = self.dead_letters(state="waiting", limit=200)
        found = [letter.id for letter in page.items]
        while page.next:
            page = self.dead_letters(state="waiting", limit=200, cursor=page.next)
            found += [letter.id for letter in page.items]
        return found

    def resolve_letter(self, prefix: str) -> str:
        """The one dead letter, among the newest thousand, whose id begins so. A whole id is not looked up."""
        if len(prefix) >= 36:
            return prefix
        page, found = self.dead_letters(limit=200), set[str]()
        for _ in range(5):
            found |= {letter.id for letter in page.items if prefix and letter.id.startswith(prefix)}
            if not page.next:
                break
            page = self.dead_letters(limit=200, cursor=page.next)
        if not found:
            raise NotFound(f"there is no dead letter {prefix!r}; amelia dead-letters list shows those there are")
        if len(found) > 1:
            raise Refused(f"{prefix!r} may be {', '.join(sorted(found)[:4])}; give more of it")
        return found.pop()

    def resolve(self, prefix: str) -> str:
        """The one workflow whose id begins so, with or without ``wf-``. A whole id is not looked up."""
        wanted = prefix if prefix.startswith("wf-") else f"wf-{prefix}"
        if len(wanted) == 39:
            return wanted
        found = [view.id for view in self._all() if view.id.startswith(wanted)] if len(wanted) > 3 else []
        if not found:
            raise NotFound(f"there is no workflow {prefix!r}; amelia workflows list shows those there are")
        if len(found) > 1:
            raise Refused(f"{prefix!r} may be {', '.join(found[:4])}; give more of it")
        return found[0]

    def _all(self, pages: int = 20) -> list[WorkflowView]:
        page = self.workflows(limit=100)
        views = list(page.items)
        while page.next and pages > 1:
            pages -= 1
            page = self.workflows(limit=100, cursor=page.next)
            views += page.items
        return views

    def _order(self, workflow_id: str, verb: str, body: msgspec.Struct, key: str) -> WorkflowView:
        answer = self._ask("POST", _of(workflow_id, verb), msgspec.json.encode(body), _keyed(key))
        return self._read(answer, WorkflowView)

    def _ask(self, method: str, path: str, body: bytes | None = None, headers: Mapping[str, str] = {}) -> bytes:
        return self._answer(method, path, body, headers).body

    def _answer(
        self, method: str, path: str, body: bytes | None = None, headers: Mapping[str, str] = {}
    ) -> exchange.Answer:
        sent = {"Accept": "application/json, text/x-diff", "Connection": "close", **headers}
        if body is not None:
            from ..redaction import ours

            body = ours().data(body)
            sent["Content-Type"] = "application/json"
        if self.token:
            sent["Authorization"] = f"Bearer {self.token}"
        try:
            answer = self._exchange((method, self._path + path, sent, body))
        except (OSError, exchange.Garbled) as error:
            raise no_answer(self.url, getattr(error, "strerror", "") or str(error) or type(error).__name__) from error
        except ValueError as error:
            raise Refused(f"the request cannot be sent: {error}; look at AMELIA_TOKEN") from error
        if answer.status >= 300:
            raise problem(answer.status, answer.body, self.url, retry_after=answer.headers.get("retry-after", ""))
        return answer

    def _exchange(self, request: tuple[str, str, Mapping[str, str], bytes | None]) -> exchange.Answer:
        encoded = exchange.encode(self._name, request)
        if self._secure:
            return exchange.secure(self._host, self._port, request, self._timeout)
        return exchange.plain(self._host, self._port, encoded, self._timeout)

    def _read(self, answer: bytes, kind: type[_T]) -> _T:
        try:
            return msgspec.json.decode(answer, type=kind)
        except msgspec.DecodeError as error:
            raise Unavailable(
                f"{self.url} did not answer as a control plane ({error}); is it one, of this version?"
            ) from error


def _of(workflow_id: str, what: str = "") -> str:
    return f"/workflows/{quote(workflow_id, safe='')}" + (f"/{what}" if what else "")


def _letter(letter_id: str, verb: str = "") -> str:
    return f"/dead-letters/{quote(letter_id, safe='')}" + (f"/{verb}" if verb else "")


def _query(pairs: "Sequence[tuple[str, str]]") -> str:
    given = [(name, value) for name, value in pairs if value]
    return f"?{urlencode(given)}" if given else ""


def _keyed(key: str) -> dict[str, str]:
    return {"Idempotency-Key": key} if key else {}


def _replayed(answer: exchange.Answer) -> bool:
    return answer.headers.get("idempotency-replayed") == "true"
