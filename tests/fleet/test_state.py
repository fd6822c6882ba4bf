import json
import os
import socket
from pathlib import Path

import pytest

from amelia.adapters.local import lock, models
from amelia.adapters.local.child import Program, environment
from amelia.adapters.local.state import StateDirectory, is_free
from amelia.adapters.local.supervise import write_config
from amelia.errors import Conflict, Refused

AWS_FILES = {"HOME": "/nonexistent"}


def mode(path: Path) -> int:
    return path.stat().st_mode & 0o777


def test_a_state_directory_is_its_owners_alone(tmp_path: Path) -> None:
    state = StateDirectory.open(tmp_path / "deep" / "state")

    assert mode(state.root) == 0o700
    assert {mode(folder) for folder in state.root.iterdir() if folder.is_dir()} == {0o700}
    assert state.secret("token") == state.secret("token")
    assert mode(state.token_file) == 0o600


def test_a_directory_with_other_things_keeps_its_mode(tmp_path: Path) -> None:
    tmp_path.chmod(0o755)
    (tmp_path / "mine").touch()

    StateDirectory.open(tmp_path)

    assert mode(tmp_path) == 0o755


def test_a_directory_everyone_writes_to_is_refused(tmp_path: Path) -> None:
    (tmp_path / "theirs").touch()
    tmp_path.chmod(0o777)

    with pytest.raises(Refused, match="--state-dir"):
        StateDirectory.open(tmp_path)


def test_a_file_in_its_place_is_refused(tmp_path: Path) -> None:
    (tmp_path / "file").touch()

    with pytest.raises(Refused, match="--state-dir"):
        StateDirectory.open(tmp_path / "file")


def test_a_port_is_kept_until_somebody_else_has_it(state: StateDirectory) -> None:
    port = state.port("emulator")
    assert state.port("emulator") == port

    with socket.create_server(("127.0.0.1", port)):
        assert not is_free(port)
        assert state.port("emulator") != port


def test_the_supervisors_socket_fits_whatever_the_directory(tmp_path: Path) -> None:
    state = StateDirectory.open(tmp_path / ("long" * 20) / ("name" * 20))

    path = state.socket_file()

    assert len(os.fsencode(path)) < 100
    assert path == StateDirectory(state.root).socket_file()
    path.parent.rmdir()


def test_one_fleet_holds_the_lock_and_a_second_learns_of_it(state: StateDirectory) -> None:
    first = lock.FleetLock.take(state)
    first.write(lock.Holder(pid=12, url="http://127.0.0.1:1"))

    with pytest.raises(Conflict, match=r"pid 12\) at http://127.0.0.1:1; stop it with amelia down --state-dir /"):
        lock.FleetLock.take(state)
    first.write(lock.Holder(pid=12))
    with pytest.raises(Conflict, match=r"the fleet is starting \(pid 12\); stop it with amelia down"):
        lock.FleetLock.take(state)
    assert lock.is_held(state)

    first.close()
    assert not lock.is_held(state)


def test_a_program_sees_what_it_may() -> None:
    inherited = {"PATH": "/bin", "AWS_ACCESS_KEY_ID": "x", "AWS_PROFILE": "y", "GH_TOKEN": "z"}

    program = Program(name="api", stage="services", argv=["api"], unset=["AWS_*", "GH_TOKEN"], environ={"A": "1"})
    assert environment(program, inherited) == {"PATH": "/bin", "A": "1"}

    narrow = Program(name="postgres", stage="store", argv=["postgres"], only=["PATH"])
    assert environment(narrow, inherited) == {"PATH": "/bin"}


def test_what_a_program_inherits_is_not_written_down_and_the_rest_is(tmp_path: Path) -> None:
    state = StateDirectory.open(tmp_path / "state")
    program = Program(name="a", stage="services", argv=["true"], environ={"SECRET": "inherited", "A": "1"})
    for inherited, written in (({"SECRET": "inherited"}, {"A": "1"}), ({}, program.environ)):
        listing = write_config(state, [program], inherited).with_name("programs.json")
        assert json.loads(listing.read_bytes())["a"]["environ"] == written


def test_replay_wins_over_credentials_which_then_stay_outside() -> None:
    chosen = models.choose({"ANTHROPIC_API_KEY": "real", **AWS_FILES}, "http://127.0.0.1:9")

    assert chosen.driver == "api:anthropic"
    assert chosen.environ["ANTHROPIC_BASE_URL"] == "http://127.0.0.1:9"
    assert "real" not in chosen.environ.values()
    assert chosen.unset == models.PRIVATE


@pytest.mark.parametrize(
    ("environ", "driver"),
    [
        ({"ANTHROPIC_API_KEY": "k", "OPENAI_API_KEY": "k"}, "api:anthropic"),
        ({"OPENAI_API_KEY": "k", "AWS_PROFILE": "p"}, "api:openai"),
        ({"AWS_PROFILE": "p"}, "api:bedrock"),
        ({"OPENAI_API_KEY": "k", "AMELIA_DRIVER": "api:bedrock"}, "api:bedrock"),
    ],
)
def test_the_driver_follows_the_credentials(environ: dict[str, str], driver: str) -> None:
    chosen = models.choose({**AWS_FILES, **environ})

    assert chosen.driver == driver
    assert chosen.unset == []


def test_without_credentials_the_way_to_a_model_is_said() -> None:
    assert "--replay" in models.choose(AWS_FILES).note
