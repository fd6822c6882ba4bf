import threading
import time
from collections.abc import Iterator
from itertools import islice
from urllib.parse import parse_qs

import pytest

from amelia.adapters.local.state import free_port
from amelia.client import fleet_stream
from amelia.client.fleet_stream import FleetEvent, FleetFrame, Wanted
from amelia.contract import events as e
from amelia.contract.frames import FleetCaughtUp, FleetPing
from amelia.errors import Malformed, Unauthorised, Unavailable

from .pretend_fleet import TOKEN, PretendFleet, serving


def tell(fleet: PretendFleet, *numbers: int) -> None:
    for number in numbers:
        event = e.AgentMessage(id=str(number), workflow_id=f"wf-{number % 3}", agent="developer", content="word")
        fleet.tell(event, number)


def follow(fleet: PretendFleet, after: str = "0", wanted: Wanted = Wanted()) -> Iterator[FleetFrame]:  # noqa: B008
    return fleet_stream.fleet_frames(fleet.url, TOKEN, after=after, wanted=wanted, patience=10)


def sequences(frames: Iterator[FleetFrame], count: int) -> list[int]:
    return [event.sequence for event in islice((f for f in frames if isinstance(f, FleetEvent)), count)]


@pytest.mark.parametrize("faults", [[], ["batch"], ["drop 1", "503", "drop 3", "batch"], ["429"], ["drop 7"] * 3])
def test_whatever_happens_to_connections_every_event_comes_once(fleet: PretendFleet, faults: list[str]) -> None:
    tell(fleet, *range(1, 21))
    fleet.faults = list(faults)
    assert sequences(follow(fleet), 20) == list(range(1, 21))
    assert not fleet.faults


def test_from_now_on_nothing_is_lost_either_when_the_first_connection_is(fleet: PretendFleet) -> None:
    tell(fleet, 1, 2, 3)
    fleet.faults = ["drop 1", "drop 1"]
    frames = follow(fleet, after="")
    assert next(frames) == FleetCaughtUp(cursor="3-0")
    tell(fleet, 4, 5, 6)
    assert sequences(frames, 3) == [4, 5, 6]
    assert [parse_qs(query)["after"][0] for query in fleet.asked[1:]] == ["4-0", "5-0"]


def test_a_ping_moves_the_place(fleet: PretendFleet) -> None:
    tell(fleet, 1)
    frames = follow(fleet)
    assert [type(frame) for frame in islice(frames, 3)] == [FleetCaughtUp, FleetEvent, FleetPing]


def test_what_is_wanted_is_asked_for(fleet: PretendFleet) -> None:
    wanted = Wanted(status=("blocked",), types=("a", "b"), repositories=("https://example.org/r.git?x&y",))
    next(follow(fleet, wanted=wanted))
    asked = parse_qs(fleet.asked[0])
    assert (asked["status"], asked["type"]) == (["blocked"], ["a", "b"])
    assert asked["repository"] == ["https://example.org/r.git?x&y"]


def test_a_restart_of_the_server_is_survived() -> None:
    lost: list[str] = []
    fleet, port = PretendFleet(), free_port()
    tell(fleet, 1, 2)
    first = serving(fleet, port)
    frames = fleet_stream.fleet_frames(first.__enter__(), TOKEN, after="0", lost=lost.append)
    seen = sequences(frames, 2)
    first.__exit__(None, None, None)
    done = threading.Event()

    def come_back() -> None:
        time.sleep(0.3)
        tell(fleet, 3, 4)
        with serving(fleet, port):
            done.wait(20)

    back = threading.Thread(target=come_back)
    back.start()
    try:
        seen += sequences(frames, 2)
    finally:
        done.set()
        back.join()
    assert seen == [1, 2, 3, 4]
    assert len(lost) == 1


def test_a_refusal_is_not_tried_again(fleet: PretendFleet) -> None:
    fleet.faults = ["401"]
    with pytest.raises(Unauthorised):
        next(follow(fleet))


def test_patience_ends_when_nobody_answers() -> None:
    with pytest.raises(Unavailable, match="no fleet answers"):
        next(fleet_stream.fleet_frames(f"http://127.0.0.1:{free_port()}", TOKEN, patience=0.2))


def test_what_is_no_frame_is_malformed(fleet: PretendFleet) -> None:
    fleet.told.append(b'{"type":"agent_message"}')
    with pytest.raises(Malformed, match="not a frame"):
        list(islice(follow(fleet), 2))
