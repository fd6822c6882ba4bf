import json
from pathlib import Path

import pytest

from amelia.client.discover import Fleet, discover, state_directory
from amelia.errors import Refused, Unavailable

LOCAL = "http://127.0.0.1:8420"


@pytest.fixture
def environ(tmp_path: Path) -> dict[str, str]:
    return {"AMELIA_STATE_DIR": str(tmp_path)}


@pytest.fixture
def running(tmp_path: Path) -> None:
    (tmp_path / "fleet.json").write_text(json.dumps({"url": LOCAL, "token_file": "token", "pid": 1}))
    (tmp_path / "token").write_text("secret\n")


@pytest.mark.usefixtures("running")
def test_the_fleet_of_the_state_directory_is_found_with_its_token(environ: dict[str, str]) -> None:
    assert discover(environ=environ) == Fleet(url=LOCAL, token="secret")


@pytest.mark.usefixtures("running")
def test_what_is_given_goes_before_the_environment_and_that_before_the_profile(environ: dict[str, str]) -> None:
    environ |= {"AMELIA_URL": "http://two", "AMELIA_TOKEN": "t"}
    assert discover(url="http://one/", profile_url="http://three", environ=environ) == Fleet(
        url="http://one", token="t"
    )
    assert discover(profile_url="http://three", environ=environ).url == "http://two"
    del environ["AMELIA_URL"]
    assert discover(profile_url="http://three", environ=environ).url == "http://three"


@pytest.mark.usefixtures("running")
def test_the_token_of_this_machine_is_shown_to_no_other_address(environ: dict[str, str]) -> None:
    assert discover(url="https://elsewhere.example.com", environ=environ).token == ""
    assert discover(url=LOCAL, environ=environ).token == "secret"


def test_no_fleet_says_how_to_start_one(environ: dict[str, str]) -> None:
    with pytest.raises(Unavailable, match="start one with amelia up"):
        discover(environ=environ)


@pytest.mark.parametrize("text", ["", "{", "[]", '{"token_file": "x"}', '{"url": 3}'])
def test_a_broken_file_is_named(environ: dict[str, str], tmp_path: Path, text: str) -> None:
    (tmp_path / "fleet.json").write_text(text)
    with pytest.raises(Refused, match=r"fleet\.json is broken"):
        discover(environ=environ)


def test_a_missing_token_file_is_named(environ: dict[str, str], tmp_path: Path) -> None:
    (tmp_path / "fleet.json").write_text(json.dumps({"url": LOCAL, "token_file": "gone"}))
    with pytest.raises(Refused, match="gone cannot be read"):
        discover(environ=environ)


def test_what_is_no_address_is_refused(environ: dict[str, str]) -> None:
    with pytest.raises(Refused, match="no address"):
        discover(url="localhost:8420", environ=environ)


def test_the_state_directory_follows_the_conventions() -> None:
    assert state_directory({"AMELIA_STATE_DIR": "/a", "XDG_STATE_HOME": "/b"}) == Path("/a")
    assert state_directory({"XDG_STATE_HOME": "/b"}) == Path("/b/amelia")
    assert state_directory({}) == Path.home() / ".local/state/amelia"
