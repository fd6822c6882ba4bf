"""Whatever is wrong: one sentence, an exit code that means it, no traceback."""

import json
import os
import signal
import subprocess
from pathlib import Path

import pytest

from amelia.adapters.local.state import free_port

from ..client.pretend_fleet import PretendFleet
from .conftest import AMELIA, Amelia

GROUPS = [[], ["workflows"]]
COMMANDS = [
    ["start"],
    ["workflows", "list"],
    ["workflows", "show"],
    ["workflows", "plan"],
    ["workflows", "approve"],
    ["workflows", "reject"],
    ["workflows", "cancel"],
    ["workflows", "logs"],
    ["workflows", "diff"],
    ["workflows", "usage"],
    ["up"],
    ["down"],
    ["status"],
]
NOBODY = "wf-00000000-0000-4000-8000-000000000000"


@pytest.mark.parametrize("command", GROUPS + COMMANDS[:-3], ids=" ".join)
def test_every_command_explains_itself_with_an_example(amelia: Amelia, command: list[str]) -> None:
    ran = amelia(*command, "--help")
    assert ran.code == 0
    assert "Example" in ran.out


@pytest.mark.parametrize("command", COMMANDS, ids=" ".join)
def test_every_command_has_output_for_programs(amelia: Amelia, command: list[str]) -> None:
    assert "--output [text|json]" in amelia(*command, "--help").out


def test_the_exit_codes_are_documented(amelia: Amelia) -> None:
    assert "7 unavailable" in amelia("--help").out


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["strat"], "there is no command 'strat'; did you mean 'start'?"),
        (["workflows", "xyz"], "there is no command 'xyz'; there are list, show"),
        (["--colour"], "no such option"),
        (["start"], "missing argument 'ISSUE'"),
        (["start", "x", "--output", "xml"], "invalid value for '--output'"),
        (["workflows", "list", "--limit", "0"], "invalid value for '--limit'"),
        (["workflows", "list", "--status", "blockd"], "invalid value for '--status'"),
        (["start", "x", "--detach"], "--detach works only with --remote"),
        (["start", "x", "--url", "http://x"], "--url works only with --remote"),
        (["start", "x", "--remote", "--replay", "x"], "--replay works only without --remote"),
        (["start", "x", "--new", "--retry"], "--new and --retry contradict each other; give one of them"),
        (["start", "x", "--wait", "--follow"], "--follow and --wait contradict each other"),
        (["start", "x", "--remote", "--wait", "--detach"], "--wait and --detach contradict each other"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_wrong_usage_is_told_in_one_sentence(amelia: Amelia, arguments: list[str], sentence: str) -> None:
    ran = amelia(*arguments)
    assert (ran.code, ran.out) == (2, "")
    assert sentence in ran.err
    assert len(ran.err.splitlines()) == 1


def test_a_command_that_is_missing_shows_those_there_are(amelia: Amelia) -> None:
    ran = amelia()
    assert (ran.code, "Commands:" in ran.err) == (2, True)


@pytest.mark.usefixtures("fleet")
@pytest.mark.parametrize("command", ["show", "plan", "approve", "reject", "cancel", "logs", "diff", "usage"])
def test_an_unknown_workflow_is_not_found(amelia: Amelia, command: str) -> None:
    for name in (NOBODY, "wf-0", "nobody"):
        ran = amelia("workflows", command, name)
        assert (ran.code, "there is no workflow" in ran.err) == (4, True)


@pytest.mark.usefixtures("fleet")
@pytest.mark.parametrize("command", ["list", "show", "approve", "logs"])
def test_a_wrong_token_is_not_signed_in(amelia: Amelia, monkeypatch: pytest.MonkeyPatch, command: str) -> None:
    monkeypatch.setenv("AMELIA_TOKEN", "another")
    ran = amelia("workflows", command, *([] if command == "list" else [NOBODY]))
    assert (ran.code, "token" in ran.err) == (3, True)


def test_no_fleet_is_unavailable(amelia: Amelia) -> None:
    ran = amelia("workflows", "list")
    assert (ran.code, "start one with amelia up" in ran.err) == (7, True)
    ran = amelia("workflows", "list", "--url", f"http://127.0.0.1:{free_port()}")
    assert (ran.code, "no fleet answers at" in ran.err) == (7, True)


def test_an_address_that_is_none_is_refused(amelia: Amelia) -> None:
    assert amelia("workflows", "list", "--url", "localhost").code == 2


def test_a_limit_of_requests_is_unavailable(amelia: Amelia, fleet: PretendFleet) -> None:
    fleet.answers.append((429, b""))
    ran = amelia("workflows", "list")
    assert (ran.code, "try again in a moment" in ran.err) == (7, True)


@pytest.mark.usefixtures("fleet")
@pytest.mark.parametrize(
    ("arguments", "kind", "code"),
    [
        (["workflows", "show", NOBODY, "--output", "json"], "not found", 4),
        (["workflows", "list", "--output=json", "--limit", "x"], "usage", 2),
        (["strat", "--output", "json"], "usage", 2),
    ],
)
def test_programs_are_told_errors_as_json(amelia: Amelia, arguments: list[str], kind: str, code: int) -> None:
    ran = amelia(*arguments)
    assert ran.code == code
    told = json.loads(ran.err)["error"]
    assert (told["kind"], told["exit_code"]) == (kind, code)


def test_a_time_that_is_none_is_no_error(amelia: Amelia, fleet: PretendFleet) -> None:
    view = fleet.add(created_at="9999-99-99")
    assert amelia("workflows", "list").code == 0
    assert amelia("workflows", "show", view.id).code == 0


def test_a_bug_is_one_sentence_and_a_traceback_only_when_asked_for(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    from amelia_cli.edge import guard

    def broken(arguments: list[str]) -> None:
        raise LookupError("two\nlines")

    assert guard([], broken) == 70
    assert capsys.readouterr().err == (
        "amelia: internal error: LookupError: two lines; run again with AMELIA_DEBUG=1 for the traceback\n"
    )
    monkeypatch.setenv("AMELIA_DEBUG", "1")
    assert guard([], broken) == 70
    assert "Traceback" in capsys.readouterr().err


def test_a_closed_pipe_is_quiet(fleet: PretendFleet) -> None:
    for _ in range(50):
        fleet.add()
    ran = subprocess.Popen([*AMELIA, "workflows", "list"], stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    assert ran.stdout
    ran.stdout.close()
    assert ran.stderr
    assert ran.stderr.read() == b""
    assert ran.wait() == 141
    ran.stderr.close()


def test_an_interruption_is_one_word(fleet: PretendFleet) -> None:
    view = fleet.add()
    fleet.say(view.id, {"id": "1", "type": "hello", "workflow_id": view.id})
    ran = subprocess.Popen(
        [*AMELIA, "workflows", "logs", view.id, "--follow"], stdout=subprocess.PIPE, stderr=subprocess.PIPE
    )
    assert ran.stdout
    assert b"hello" in ran.stdout.readline()
    ran.send_signal(signal.SIGINT)
    _, err = ran.communicate(timeout=20)
    assert (ran.returncode, err) == (130, b"interrupted\n")


def test_colour_is_only_for_terminals(fleet: PretendFleet) -> None:
    fleet.add(status="failed")
    arguments = [*AMELIA, "workflows", "list"]
    assert b"\x1b" in on_a_terminal(arguments, {})
    assert b"\x1b" not in on_a_terminal(arguments, {"NO_COLOR": "1"})
    assert b"\x1b" not in subprocess.run(arguments, capture_output=True, check=True).stdout


def on_a_terminal(arguments: list[str], environ: dict[str, str]) -> bytes:
    ours, theirs = os.openpty()
    with subprocess.Popen(
        arguments, stdin=theirs, stdout=theirs, env={**os.environ, "TERM": "xterm", **environ}
    ) as ran:
        os.close(theirs)
        seen = b""
        while True:
            try:
                piece = os.read(ours, 4096)
            except OSError:
                break
            seen += piece
        assert ran.wait() == 0
    os.close(ours)
    return seen


def test_the_command_runs_as_a_process(interpreter: Amelia, tmp_path: Path) -> None:
    assert interpreter("--version").out.startswith("amelia, version")
    assert interpreter("workflows", "list").code == 7


# Streams that are none


def redirected(how: str, *arguments: str) -> "subprocess.CompletedProcess[str]":
    """A command as a shell runs it with ``how`` behind it."""
    command = ["sh", "-c", f'"$@" {how}', "sh", *AMELIA, *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)


@pytest.mark.parametrize("how", [">&-", "<&-", "<&- >&- 2>&-"])
def test_a_stream_that_is_closed_is_no_terminal_and_takes_nothing(fleet: PretendFleet, how: str) -> None:
    view = fleet.add()
    ran = redirected(how, "workflows", "list")
    assert (ran.returncode, ran.stderr) == (0, "")
    assert (view.id in ran.stdout) == (how == "<&-")


def test_a_full_disk_is_one_sentence(fleet: PretendFleet) -> None:
    fleet.add()
    ran = redirected(">/dev/full", "workflows", "list")
    assert (ran.returncode, ran.stderr) == (
        2,
        "amelia: nothing more can be written: No space left on device; make room, or send the output elsewhere\n",
    )


def test_a_state_directory_that_cannot_be_written_is_refused(
    amelia: Amelia, repository: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AMELIA_STATE_DIR", str(repository / "issue.md"))
    ran = amelia("start", "issue.md")
    assert (ran.code, ran.err.count("\n")) == (2, 1)
    assert "issue.md/local cannot hold what is worked here" in ran.err
    assert "choose another place with AMELIA_STATE_DIR" in ran.err
