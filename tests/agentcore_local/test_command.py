import os
import subprocess
from collections.abc import Callable
from functools import partial
from pathlib import Path

import pytest

from .conftest import COMMAND, HERE, SERVICE, Server, invoke, new_session, wait_until


def run(*options: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [*COMMAND, *options],
        env=os.environ | {"PYTHONPATH": f"{SERVICE}:{HERE}"},
        capture_output=True,
        text=True,
        timeout=60,
    )


@pytest.mark.parametrize(
    ("options", "told"),
    [
        (["--app", "no_such_module:app"], "No module named 'no_such_module'"),
        (["--app", "sample_runtime:nothing"], "nothing"),
        (["--config", "{state}/missing.yaml"], "missing.yaml"),
        (["--env-file", "{state}/missing.env"], "missing.env"),
        (["--idle-timeout", "soon"], "invalid float"),
    ],
)
def test_a_server_that_cannot_start_says_why(tmp_path: Path, options: list[str], told: str) -> None:
    given = [option.format(state=tmp_path) for option in options]
    ended = run("--state-dir", str(tmp_path / "state"), "--port", "0", *given)
    assert ended.returncode != 0
    assert told in ended.stderr


def test_an_unknown_setting_is_named(tmp_path: Path) -> None:
    config = tmp_path / "config.yaml"
    config.write_text("idle_timeuot: 3\n")
    ended = run("--state-dir", str(tmp_path / "state"), "--config", str(config))
    assert ended.returncode == 1
    assert "idle_timeuot" in ended.stderr


def test_a_spoilt_event_store_is_named(tmp_path: Path) -> None:
    store = tmp_path / "state" / "memory.sqlite3"
    store.parent.mkdir()
    store.write_bytes(b"this is no database" * 100)
    ended = run("--state-dir", str(store.parent), "--port", "0")
    assert (ended.returncode, str(store) in ended.stderr, "Traceback" in ended.stderr) == (1, True, False)


def test_a_port_or_state_directory_in_use_is_refused(server: Server, tmp_path: Path) -> None:
    busy = run("--state-dir", str(tmp_path / "state"), "--port", str(server.port))
    assert (busy.returncode, "choose another --port" in busy.stderr) == (1, True)
    shared = run("--state-dir", str(server.state), "--port", "0")
    assert (shared.returncode, "choose another --state-dir" in shared.stderr) == (1, True)


def test_sessions_see_the_environment_file_and_the_configuration_wins(
    tmp_path: Path, servers: Callable[..., Server]
) -> None:
    file = tmp_path / "runtime.env"
    file.write_text("# comment\nexport FIRST='one two'\nSECOND=file\n\n")
    server = servers(app="sample_runtime:app", environment={"SECOND": "configuration"})
    server.end()
    server.start("--env-file", str(file))
    seen = invoke(server.client(), new_session(), do="environment")["env"]
    assert (seen["FIRST"], seen["SECOND"]) == ("one two", "configuration")


def test_logs_hold_what_a_session_prints_and_only_the_newest_stay(servers: Callable[..., Server]) -> None:
    server = servers(app="sample_runtime:app", keep_logs=2, idle_timeout=0.2)
    client = server.client()
    for _ in range(4):
        session = new_session()
        invoke(client, session)
        wait_until(partial(_is_gone, server, session))
    logs = sorted((server.state / "logs").glob("wf-*.log"))
    assert 1 <= len(logs) <= 2
    assert any("Invocation completed" in log.read_text() for log in logs)


def _is_gone(server: Server, session: str) -> bool:
    return session not in server.sessions()
