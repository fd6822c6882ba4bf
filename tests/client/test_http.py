import msgspec
import pytest

from amelia.adapters.local.state import free_port
from amelia.client.http import ControlPlane
from amelia.contract.plan import plan_sha256
from amelia.contract.views import DecisionRequest, StartRequest
from amelia.contract.workflow import Issue
from amelia.errors import AmeliaError, Conflict, NotFound, Refused, Unauthorised, Unavailable

from .pretend_fleet import PLAN, TOKEN, PretendFleet

REQUEST = StartRequest(issue=Issue(id="1", title="One"), repository="file:///tmp/shop")


def test_a_workflow_is_started_and_read_back(plane: ControlPlane) -> None:
    started = plane.start(REQUEST, key="k")
    assert plane.workflow(started.id) == started
    assert plane.workflows(status="pending").items == (started,)


def test_the_same_key_is_the_same_workflow(plane: ControlPlane, fleet: PretendFleet) -> None:
    assert plane.start(REQUEST, key="k").id == plane.start(REQUEST, key="k").id
    assert len(fleet.views) == 1


def test_a_start_that_found_nobody_is_tried_again_under_its_key(plane: ControlPlane, fleet: PretendFleet) -> None:
    fleet.answers.append((503, b""))
    assert plane.start(REQUEST, key="k").status == "pending"


def test_plan_usage_and_diff_are_read(plane: ControlPlane, fleet: PretendFleet) -> None:
    view = fleet.add(status="blocked", block_id="b")
    fleet.plans[view.id] = PLAN
    assert plane.plan(view.id).plan_sha256 == plan_sha256(PLAN)
    assert plane.usage(view.id).attempts[1].input_tokens == 1200
    assert b"\xff" in plane.diff(view.id)


def test_a_decision_names_what_was_seen(plane: ControlPlane, fleet: PretendFleet) -> None:
    view = fleet.add(status="blocked", block_id="b", plan_sha256="h")
    decision = DecisionRequest(block_id="b", plan_sha256="h")
    assert plane.approve(view.id, decision).status == "approved"
    assert fleet.decisions == [decision]
    with pytest.raises(Conflict, match="only blocked"):
        plane.reject(view.id, decision)


def test_a_reason_for_cancelling_survives_its_odd_characters(plane: ControlPlane, fleet: PretendFleet) -> None:
    view = fleet.add()
    assert "50% & more?" in plane.cancel(view.id, "50% & more?").reason


@pytest.mark.parametrize(
    ("status", "kind"),
    [
        (400, Refused),
        (401, Unauthorised),
        (403, Unauthorised),
        (404, NotFound),
        (409, Conflict),
        (413, Refused),
        (422, Refused),
        (429, Unavailable),
        (500, Unavailable),
        (503, Unavailable),
    ],
)
def test_a_problem_becomes_the_error_with_its_own_sentence(
    plane: ControlPlane, fleet: PretendFleet, status: int, kind: type[AmeliaError]
) -> None:
    fleet.answers.append((status, b'{"type": "about:blank", "title": "No", "detail": "do this instead"}'))
    with pytest.raises(AmeliaError, match="do this instead") as caught:
        plane.workflow("wf-1")
    assert type(caught.value) is kind


@pytest.mark.parametrize("status", [301, 400, 401, 403, 404, 409, 418, 429, 500])
@pytest.mark.parametrize("body", [b"", b"<html>", b"[]", b'{"detail": {}}'])
def test_a_problem_without_a_sentence_still_gets_one(
    plane: ControlPlane, fleet: PretendFleet, status: int, body: bytes
) -> None:
    fleet.answers.append((status, body))
    with pytest.raises(AmeliaError) as caught:
        plane.workflow("wf-1")
    assert len(str(caught.value)) > 20


@pytest.mark.parametrize("body", [b"", b"<html>", b"{}", b"[]"])
def test_a_server_that_is_no_control_plane_is_named_as_such(
    plane: ControlPlane, fleet: PretendFleet, body: bytes
) -> None:
    fleet.answers.append((200, body))
    with pytest.raises(Unavailable, match="did not answer as a control plane"):
        plane.workflow("wf-1")


def test_nobody_there_says_how_to_start_a_fleet() -> None:
    url = f"http://127.0.0.1:{free_port()}"
    with pytest.raises(Unavailable, match=f"no fleet answers at {url} .*; start one with amelia up"):
        ControlPlane(url, TOKEN).workflows()


@pytest.mark.parametrize("url", ["", "fleet", "ftp://x", "http://", "http://x:99999", "http://x:y"])
def test_what_is_no_address_is_refused(url: str) -> None:
    with pytest.raises(Refused, match="no address of a fleet"):
        ControlPlane(url)


def test_a_token_that_cannot_be_a_header_is_refused(fleet: PretendFleet) -> None:
    for token in ("two\nlines", "é—"):
        with pytest.raises(Refused, match="AMELIA_TOKEN"):
            ControlPlane(fleet.url, token).workflows()


def test_a_shortened_id_is_resolved_while_it_is_unique(plane: ControlPlane, fleet: PretendFleet) -> None:
    ids = [f"wf-{start}-0000-4000-8000-000000000000" for start in ("aaaa1111", "aaaa2222", "bbbb3333")]
    for workflow_id in ids:
        fleet.add(id=workflow_id)
    assert plane.resolve("b") == plane.resolve("wf-bbbb") == ids[2]
    assert plane.resolve("wf-cccc3333-0000-4000-8000-000000000000")
    with pytest.raises(Refused, match="give more of it"):
        plane.resolve("aaaa")
    for nobody in ("", "wf-", "c", "wf-c"):
        with pytest.raises(NotFound):
            plane.resolve(nobody)


def test_an_odd_id_stays_within_its_path(plane: ControlPlane, fleet: PretendFleet) -> None:
    with pytest.raises(NotFound):
        plane.workflow("../../health?x=1#")
    assert fleet.requests[-1][1].startswith("/api/v1/workflows/")


def test_an_unknown_field_of_a_view_is_ignored(plane: ControlPlane, fleet: PretendFleet) -> None:
    view = fleet.add()
    later = {**msgspec.to_builtins(view), "colour": 3}
    fleet.answers.append((200, msgspec.json.encode(later)))
    assert plane.workflow(view.id) == view
