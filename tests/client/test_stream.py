import threading
import time
from collections.abc import Iterator
from itertools import islice

import msgspec
import pytest

from amelia.adapters.local.state import free_port
from amelia.client import stream
from amelia.contract import events as e
from amelia.contract.views import CaughtUp
from amelia.errors import Malformed, NotFound, Unauthorised, Unavailable

from .pretend_fleet import TOKEN, PretendFleet, serving


@pytest.fixture
def workflow(fleet: PretendFleet) -> str:
    workflow_id = fleet.add().id
    fleet.say(workflow_id, *(message(workflow_id, n) for n in range(1, 21)))
    return workflow_id


def message(workflow_id: str, number: int) -> e.AgentMessage:
    return e.AgentMessage(id=str(number), workflow_id=workflow_id, agent="developer", content=f"word {number}")


def follow(fleet: PretendFleet, workflow_id: str, after: int = 0) -> Iterator[stream.Streamed]:
    return stream.follow(fleet.url, TOKEN, workflow_id, after=after, patience=10)


def sequences(events: Iterator[stream.Streamed], count: int) -> list[int]:
    return [event.sequence for event in islice(events, count)]


def test_events_come_once_and_in_order_from_where_one_asks(fleet: PretendFleet, workflow: str) -> None:
    assert sequences(follow(fleet, workflow), 20) == list(range(1, 21))
    assert sequences(follow(fleet, workflow, after=15), 5) == [16, 17, 18, 19, 20]


@pytest.mark.parametrize(
    "faults",
    [
        ["drop 3", "drop 0", "drop 1", "drop 9"],
        ["drop 7", "repeat"],
        ["batch"],
        ["drop 2", "503", "batch"],
        ["429", "500", "drop 1"],
        ["gap", "gap", "drop 4", "gap"],
    ],
)
def test_whatever_happens_to_connections_every_event_comes_once(
    fleet: PretendFleet, workflow: str, faults: list[str]
) -> None:
    fleet.faults = list(faults)
    assert sequences(follow(fleet, workflow), 20) == list(range(1, 21))
    assert not fleet.faults


def test_a_restart_of_the_server_is_survived(fleet: PretendFleet, workflow: str) -> None:
    lost: list[str] = []
    again = PretendFleet()
    again.views, again.events = fleet.views, fleet.events
    port = free_port()
    first = serving(again, port)
    url = first.__enter__()
    events = stream.follow(url, TOKEN, workflow, lost=lost.append)
    seen = sequences(events, 20)
    first.__exit__(None, None, None)

    def come_back() -> None:
        time.sleep(0.3)
        again.say(workflow, message(workflow, 21))
        with serving(again, port):
            done.wait(20)

    done = threading.Event()
    back = threading.Thread(target=come_back)
    back.start()
    try:
        seen += sequences(events, 1)
    finally:
        done.set()
        back.join()
    assert seen == list(range(1, 22))
    assert len(lost) == 1


def test_an_event_of_a_later_version_is_passed_on(fleet: PretendFleet, workflow: str) -> None:
    fleet.say(workflow, {"id": "x", "type": "moon_risen", "workflow_id": workflow, "limit": 3})
    event = next(follow(fleet, workflow, after=20))
    assert (event.type, event.event) == ("moon_risen", None)
    assert msgspec.json.decode(event.raw)["limit"] == 3


def test_a_known_event_comes_decoded(fleet: PretendFleet, workflow: str) -> None:
    event = next(follow(fleet, workflow))
    assert event.event == message(workflow, 1)


def test_the_frames_say_when_the_past_ends(fleet: PretendFleet, workflow: str) -> None:
    frames = stream.frames(fleet.url, TOKEN, workflow, after=18)
    assert [type(frame).__name__ for frame in islice(frames, 4)] == ["Streamed", "Streamed", "CaughtUp", "Ping"]


def test_live_events_follow(fleet: PretendFleet, workflow: str) -> None:
    frames = stream.frames(fleet.url, TOKEN, workflow, after=20)
    assert isinstance(next(frames), CaughtUp)
    fleet.say(workflow, message(workflow, 21))
    assert next(f.sequence for f in frames if isinstance(f, stream.Streamed)) == 21


def test_an_event_that_stays_left_out_is_an_error(fleet: PretendFleet, workflow: str) -> None:
    fleet.faults = ["gap"] * 10
    with pytest.raises(Malformed, match="goes from 0 to 2"):
        next(follow(fleet, workflow))


@pytest.mark.parametrize(("fault", "kind"), [("401", Unauthorised), ("403", Unauthorised), ("close 4404", NotFound)])
def test_a_refusal_is_not_tried_again(fleet: PretendFleet, workflow: str, fault: str, kind: type[Exception]) -> None:
    fleet.faults = [fault]
    with pytest.raises(kind):
        next(follow(fleet, workflow))


def test_an_unknown_workflow_is_not_found(fleet: PretendFleet) -> None:
    with pytest.raises(NotFound):
        next(follow(fleet, "wf-nobody"))


def test_patience_ends_when_nobody_answers() -> None:
    with pytest.raises(Unavailable, match="no fleet answers"):
        next(stream.follow(f"http://127.0.0.1:{free_port()}", TOKEN, "wf-1", patience=0.2))


@pytest.mark.parametrize("text", ["", "{", "[]x", "[1]", '{"sequence": 1}', '{"type": 3}', "null", "\xff"])
def test_what_is_no_frame_is_malformed(text: str) -> None:
    with pytest.raises(Malformed, match="not a frame"):
        list(stream.decode(text))
