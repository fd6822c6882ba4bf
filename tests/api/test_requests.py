"""Requests: what is accepted, what is refused and how it is said."""

import asyncio
import json
import re
from typing import Any

import httpx

from amelia.contract import events as e
from amelia.contract.workflow import ClaimCheck

from ..samples import HASH, PLAN, Voice, arrived, blocked, started
from .conftest import BODY, TOKEN, Api, cursor_of

PROBLEM = "application/problem+json"


def is_problem(answer: httpx.Response, status: int, said: str = "") -> None:
    assert answer.status_code == status, (str(answer.request.url), answer.text)
    assert answer.headers["content-type"].startswith(PROBLEM)
    problem = answer.json()
    assert problem["status"] == status
    assert set(problem) == {"type", "title", "status", "detail", "instance"}
    assert said in problem["detail"]
    assert "Traceback" not in answer.text


# Who asks


def routes(api: Api) -> list[tuple[str, str]]:
    found = [(route.path, method) for route in api.app.routes for method in getattr(route, "methods", ())]
    return [(re.sub(r"\{[^}]*\}", "x", path), method) for path, method in found if method != "OPTIONS"]


async def test_every_route_but_health_asks_for_the_token(api: Api) -> None:
    assert len(routes(api)) > 12
    async with api.client(headers={}, base_url=f"http://{api.host}") as client:
        for path, method in routes(api):
            answer = await client.request(method, path)
            if "/health/" in path:
                assert answer.status_code == 200
            else:
                is_problem(answer, 401, "no token was sent") if method != "HEAD" else None
                assert answer.status_code == 401
                assert answer.headers["www-authenticate"] == "Bearer"


async def test_the_way_around_health_leads_nowhere(api: Api) -> None:
    """Sent as they are: a client would tidy these paths."""
    host, port = api.host.split(":")
    for path in (
        "/api/v1/health/../workflows",
        "/api/v1/health/..%2fworkflows",
        "/api/v1//workflows",
        "//api/v1/workflows",
        "/api/v1/health/%2e%2e/workflows",
        "/api/v1/health/live/../../workflows",
        "/api/v1/./workflows",
        "/API/v1/workflows",
    ):
        reader, writer = await asyncio.open_connection(host, int(port))
        writer.write(f"GET {path} HTTP/1.1\r\nHost: {api.host}\r\nConnection: close\r\n\r\n".encode())
        answer = await reader.read()
        writer.close()
        assert b'"items"' not in answer
        assert answer.split(b" ", 2)[1] in (b"401", b"404", b"400")


TOKENS: list[tuple[dict[str, str], int]] = [
    ({"Authorization": "Bearer wrong"}, 401),
    ({"Authorization": f"Basic {TOKEN}"}, 401),
    ({"Authorization": f"Bearer {TOKEN}x"}, 401),
    ({"Authorization": f"bearer {TOKEN}"}, 200),
    ({"Authorization": "Bearer t\xf6ken"}, 401),
    ({"Cookie": f"amelia_token={TOKEN}"}, 200),
    ({"Cookie": f"a/b=c; amelia_token={TOKEN}; d"}, 200),
    ({"Cookie": "a/b=c; \xe9=\xff; ;=;"}, 401),
    ({"Cookie": f"amelia_token={TOKEN}", "Origin": "http://evil.example"}, 401),
    ({"Cookie": f"amelia_token={TOKEN}", "Origin": "null"}, 401),
    ({"Cookie": f"amelia_token={TOKEN}", "Origin": "http://["}, 401),
]


async def test_a_token_counts_as_a_bearer_and_as_a_cookie_of_our_own_pages(api: Api) -> None:
    for headers, status in TOKENS:
        raw = [(name.encode(), value.encode("latin-1")) for name, value in headers.items()]
        async with api.client(headers=raw) as client:
            answer = await client.get("/workflows")
        assert answer.status_code == status, answer.text


async def test_a_token_in_the_address_sets_the_cookie_for_a_browser(api: Api) -> None:
    async with api.client(headers={}) as client:
        answer = await client.get("/workflows", params={"token": TOKEN})
        assert answer.status_code == 200
        assert "HttpOnly" in answer.headers["set-cookie"]
        assert "SameSite=Strict" in answer.headers["set-cookie"]
        assert (await client.get("/workflows")).status_code == 200
    async with api.client(headers={}) as client:
        is_problem(await client.get("/workflows", params={"token": "no"}), 401, "not the fleet's")


# Starting


async def test_a_start_is_accepted_recorded_and_shown(http: httpx.AsyncClient) -> None:
    answer = await http.post("/workflows", json=BODY)
    assert answer.status_code == 202
    view = answer.json()
    assert (view["status"], view["sequence"], view["owner"]) == ("pending", 1, "ada")
    shown = (await http.get(f"/workflows/{view['id']}")).json()
    assert shown.pop("queue") == {"position": 1, "limit": "it is next", "estimated_start": ""}
    assert {**shown, "queue": None} == view
    assert (await http.get("/workflows")).json() == {"items": [view], "next": ""}


def changed(**fields: Any) -> dict[str, Any]:
    return {**BODY, **fields}


MISFITS = [
    b"",
    b"{",
    b"[]",
    b"null",
    b'"x"',
    b"\xff",
    b'{"issue":{"id":"\\ud800","title":"t"},"repository":"https://e.org/r"}',
    b"[" * 40_000,
    b'{"issue":' * 3_000,
    json.dumps(changed(issue={"id": "", "title": "t"})).encode(),
    json.dumps(changed(issue={"id": 1, "title": "t"})).encode(),
    json.dumps(changed(issue=None)).encode(),
    json.dumps(changed(repository=7)).encode(),
    json.dumps(changed(nonsense=True)).encode(),
    json.dumps(changed(auto_approve="yes")).encode(),
    json.dumps(changed(profile={"driver": "api:nobody"})).encode(),
    json.dumps(changed(profile={"max_iterations": 10**30})).encode(),
    json.dumps({"repository": "https://example.org/r.git"}).encode(),
]


async def test_a_body_that_does_not_fit_is_a_bad_request(http: httpx.AsyncClient) -> None:
    for body in MISFITS:
        answer = await http.post("/workflows", content=body, headers={"content-type": "application/json"})
        is_problem(answer, 400)
        assert (await http.get("/workflows")).json()["items"] == []


async def test_a_body_that_is_too_large_is_refused_however_it_is_sent(http: httpx.AsyncClient) -> None:
    large = json.dumps(changed(issue={"id": "i", "title": "t", "body": "x" * 60_000})).encode()
    is_problem(await http.post("/workflows", content=large), 413, "too large")

    async def pieces() -> Any:
        for first in range(0, len(large), 1000):
            yield large[first : first + 1000]

    is_problem(await http.post("/workflows", content=pieces()), 413, "too large")


MISREAD: list[tuple[dict[str, str], str]] = [
    ({"repository": "--upload-pack=touch pwned"}, "no address of a repository"),
    ({"repository": "ext::sh -c id"}, "no address of a repository"),
    ({"repository": "https://e.org/\0"}, "no address of a repository"),
    ({"repository": "file:///etc"}, "remote repositories only"),
    ({"base": "--force"}, "no name of a branch"),
    ({"base": "a..b"}, "no name of a branch"),
]


async def test_addresses_and_branches_that_git_would_misread_are_refused(http: httpx.AsyncClient) -> None:
    for fields, said in MISREAD:
        is_problem(await http.post("/workflows", json=changed(**fields)), 422, said)


async def test_an_issue_is_named_without_nul(http: httpx.AsyncClient) -> None:
    for issue in ({"id": "a\0b", "title": "t"}, {"id": "a", "title": "t\0"}):
        is_problem(await http.post("/workflows", json=changed(issue=issue)), 422, "has a NUL character; leave it out")


async def test_a_text_with_nul_and_all_of_unicode_is_an_issue_like_any_other(http: httpx.AsyncClient) -> None:
    issue = {"id": "a\u0085b", "title": "\U0001f600\u2028", "body": "\0"}
    view = (await http.post("/workflows", json=changed(issue=issue))).json()
    assert (await http.get(f"/workflows/{view['id']}")).json()["issue"] == issue


# Repeating


async def test_the_same_key_with_the_same_body_starts_one_workflow(http: httpx.AsyncClient) -> None:
    key = {"Idempotency-Key": "once"}
    answers = await asyncio.gather(*(http.post("/workflows", json=BODY, headers=key) for _ in range(8)))
    assert {answer.status_code for answer in answers} == {202}
    assert len({answer.json()["id"] for answer in answers}) == 1
    is_problem(await http.post("/workflows", json=changed(base="main"), headers=key), 422, "use a new key")
    other = await http.post("/workflows", json=BODY, headers={"Idempotency-Key": "twice"})
    assert other.json()["id"] != answers[0].json()["id"]


async def test_a_key_that_is_too_long_is_a_bad_request(http: httpx.AsyncClient) -> None:
    is_problem(await http.post("/workflows", json=BODY, headers={"Idempotency-Key": "k" * 201}), 400)


async def test_a_decision_repeated_under_its_key_is_the_same_decision(api: Api, http: httpx.AsyncClient) -> None:
    row, _ = await blocked(api.journal)
    path, key = f"/workflows/{row.workflow.id}/approve", {"Idempotency-Key": "k"}
    named = {"plan_sha256": HASH}
    first = await http.post(path, json=named, headers=key)
    assert (first.status_code, first.json()["status"]) == (200, "approved")
    again = await http.post(path, json=named, headers=key)
    assert (again.status_code, again.json()["sequence"]) == (200, first.json()["sequence"])
    is_problem(await http.post(path, json={}, headers=key), 422, "use a new key")


# Deciding


async def test_a_plan_is_shown_with_what_a_decision_has_to_name(api: Api, http: httpx.AsyncClient) -> None:
    row, _ = await blocked(api.journal)
    view = (await http.get(f"/workflows/{row.workflow.id}/plan")).json()
    assert (view["plan"]["summary"], view["plan_sha256"], view["decision"]) == (PLAN.summary, HASH, None)
    answer = await http.post(
        f"/workflows/{row.workflow.id}/reject",
        json={"block_id": view["block_id"], "plan_sha256": HASH, "feedback": "no"},
    )
    assert answer.json()["status"] == "failed"


async def test_what_the_state_does_not_allow_is_a_conflict_that_names_it(api: Api, http: httpx.AsyncClient) -> None:
    row = await started(api.journal)
    path = f"/workflows/{row.workflow.id}"
    is_problem(await http.post(f"{path}/approve", json={}), 409, "is in_progress; only blocked workflows")
    is_problem(await http.post(f"{path}/reject", json={}), 409, "is in_progress; only blocked workflows")
    assert (await http.delete(path, params={"reason": "no need"})).json()["status"] == "cancelled"
    assert (await http.delete(path)).json()["status"] == "cancelled"
    is_problem(await http.post(f"{path}/approve", json={}), 409, "is cancelled")
    waiting, _ = await blocked(api.journal)
    stale = {"plan_sha256": "f" * 64}
    is_problem(await http.post(f"/workflows/{waiting.workflow.id}/approve", json=stale), 409, HASH)
    await http.post(f"/workflows/{waiting.workflow.id}/reject", json={})
    is_problem(await http.delete(f"/workflows/{waiting.workflow.id}"), 409, "is failed")


NOWHERE = ["wf-none", "%00", "a%00b", "%ff%fe", "%F0%9F%98%80", "'; DROP TABLE event; --"]


async def test_a_workflow_that_is_not_there_is_not_found_on_any_route(http: httpx.AsyncClient) -> None:
    for workflow_id in NOWHERE:
        path = f"/workflows/{workflow_id}"
        for method, end, body in (
            ("GET", "", None),
            ("GET", "/plan", None),
            ("GET", "/diff", None),
            ("GET", "/usage", None),
            ("GET", "/events", None),
            ("GET", "/artifacts", None),
            ("GET", "/artifacts/x", None),
            ("POST", "/approve", {}),
            ("POST", "/approve", {"tasks": ["x"]}),
            ("POST", "/reject", {}),
            ("POST", "/revise", {"feedback": "x"}),
            ("POST", "/pause", None),
            ("POST", "/resume", None),
            ("POST", "/retry", None),
            ("POST", "/messages", {"text": "x"}),
            ("DELETE", "", None),
        ):
            is_problem(await http.request(method, f"{path}{end}", json=body), 404)


async def test_a_diff_and_a_plan_that_are_not_there_yet_are_not_found(api: Api, http: httpx.AsyncClient) -> None:
    row = await started(api.journal)
    is_problem(await http.get(f"/workflows/{row.workflow.id}/plan"), 404, "has no plan yet")
    is_problem(await http.get(f"/workflows/{row.workflow.id}/diff"), 404, "has handed in no work yet")


async def test_a_diff_comes_from_the_object_store(api: Api, http: httpx.AsyncClient) -> None:
    row = await started(api.journal)
    claim: ClaimCheck = await api.objects.put("diffs", b"--- a\n+++ b\n\xff")
    voice = Voice(row.workflow.id)
    await api.journal.append(arrived(voice.fact(e.WorkHandedIn, diff=claim)))
    answer = await http.get(f"/workflows/{row.workflow.id}/diff")
    assert (answer.status_code, answer.content) == (200, b"--- a\n+++ b\n\xff")


async def test_routes_and_methods_that_are_not_there_are_problems_too(http: httpx.AsyncClient) -> None:
    way_out = "; /api/v1/schema shows what there is"
    is_problem(await http.get("/nonsense"), 404, f"there is nothing at /api/v1/nonsense{way_out}")
    is_problem(await http.get("http://" + http.base_url.netloc.decode()), 404, f"there is nothing at /{way_out}")
    answer = await http.put("/workflows")
    is_problem(answer, 405, "PUT cannot be done to /api/v1/workflows; it takes GET, OPTIONS, POST")
    assert answer.headers["allow"] == "GET, OPTIONS, POST"


async def test_what_does_not_fit_is_one_sentence_with_a_way_out(http: httpx.AsyncClient) -> None:
    is_problem(await http.post("/workflows"), 400, "the request has no body; send the JSON that /api/v1/schema")
    for answer, why in (
        (await http.get("/workflows", params={"limit": "many"}), "limit: Expected `int`, got `str`"),
        (await http.post("/workflows", content=b"{"), "Input data was truncated"),
    ):
        is_problem(answer, 400, f"the request does not fit ({why}); /api/v1/schema describes what does")


# Lists


async def test_pages_show_every_workflow_once_newest_first(http: httpx.AsyncClient) -> None:
    made = [(await http.post("/workflows", json=BODY)).json()["id"] for _ in range(30)]
    seen: list[str] = []
    cursor = ""
    while True:
        page = (await http.get("/workflows", params={"limit": 7, "cursor": cursor})).json()
        seen += [item["id"] for item in page["items"]]
        await http.post("/workflows", json=BODY)
        cursor = page["next"]
        if not cursor:
            break
    assert seen == made[::-1]


async def test_a_list_is_of_the_status_that_was_asked_for(api: Api, http: httpx.AsyncClient) -> None:
    row = await started(api.journal)
    await http.post("/workflows", json=BODY)
    page = (await http.get("/workflows", params={"status": "in_progress"})).json()
    assert [item["id"] for item in page["items"]] == [row.workflow.id]


NO_LISTS = [
    {"cursor": "nonsense"},
    {"cursor": "\u20ac"},
    {"cursor": cursor_of("2026-11-22T12:00:00 wf-naive")},
    {"cursor": cursor_of("2026-11-22T12:00:00+00:00 wf\0")},
    {"cursor": cursor_of("0001-01-01T00:00:00+14:00 wf")},
    {"cursor": cursor_of("yesterday wf")},
    {"cursor": "A" * 5000},
    {"limit": "0"},
    {"limit": "-1"},
    {"limit": "201"},
    {"limit": "many"},
    {"limit": "9" * 400},
    {"status": "dreaming"},
    {"status": "\0"},
]


async def test_a_list_that_cannot_be_given_is_refused(http: httpx.AsyncClient) -> None:
    for query in NO_LISTS:
        answer = await http.get("/workflows", params=query)
        is_problem(answer, 422 if "cursor" in query else 400)


# The document


async def test_the_document_names_every_route_and_the_page_loads_nothing_from_elsewhere(api: Api) -> None:
    async with api.client(params={"token": TOKEN}, headers={}) as client:
        document = (await client.get("/schema/openapi.json")).json()
        assert {"/api/v1/workflows", "/api/v1/workflows/{workflow_id}/events"} <= set(document["paths"])
        for path, kind in (("/api/v1/workflows/{workflow_id}/events", "array"), ("/api/v1/events", "object")):
            content = document["paths"][path]["get"]["responses"]["200"]["content"]
            assert (set(content), content["application/json"]["schema"]["type"]) == (
                {"text/event-stream", "application/json"},
                kind,
            )
        page = await client.get("/schema")
        assert page.status_code == 200
        resources = re.findall(r"""(?:src|href)\s*=\s*['"]([^'"]+)""", page.text)
        assert len(resources) >= 3
        for address in resources:
            assert address.startswith("/api/v1/schema/"), address
            loaded = await client.get(f"http://{api.host}{address}")
            assert loaded.status_code == 200, address
            assert b"http://fonts." not in loaded.content
        assert not re.search(r"@import|url\(\s*['\"]?https?:", page.text)


async def test_health_tells_whether_the_journal_answers(api: Api) -> None:
    async with api.client(headers={}) as client:
        assert (await client.get("/health/live")).json()["status"] == "ok"
        ready = await client.get("/health/ready")
    assert (ready.status_code, ready.json()["checks"]) == (200, {"journal": "ok", "streams": "ok"})
