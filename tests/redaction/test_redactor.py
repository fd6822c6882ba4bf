import base64
import json
import subprocess
import sys
from pathlib import Path
from urllib.parse import quote

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from amelia.contract.events import AgentMessage
from amelia.redaction import Redactor, Stream, in_environment, in_worktree

VALUE = 'canary "7f3e" /+?\u00e9 2b1a9c'
PLAIN = "canary-7f3e2b1a9c"
REDACTOR = Redactor([("ODD", VALUE), ("PLAIN", PLAIN)])
MARKED = "[redacted:PLAIN]"


@pytest.mark.parametrize(
    "form",
    [
        VALUE,
        json.dumps(VALUE),
        json.dumps(VALUE, ensure_ascii=False),
        quote(VALUE),
        quote(VALUE, safe=""),
        VALUE.encode().hex(),
        base64.b64encode(VALUE.encode()).decode(),
        base64.urlsafe_b64encode(VALUE.encode()).decode(),
    ],
)
def test_a_known_value_is_found_in_every_usual_form(form: str) -> None:
    clean = REDACTOR.text(f"before {form} after")
    assert "[redacted:ODD]" in clean
    assert form.strip('"') not in clean
    assert clean.startswith("before ")
    assert clean.endswith(" after")


@pytest.mark.parametrize("before", range(7))
def test_a_known_value_is_found_anywhere_inside_of_base64(before: int) -> None:
    encoded = base64.b64encode(b"x" * before + PLAIN.encode() + b"\nand more of it").decode()
    assert base64.b64encode(PLAIN.encode()[-before % 3 :][:12]).decode() in encoded
    clean = REDACTOR.text(encoded)
    assert base64.b64encode(PLAIN.encode()[-before % 3 :][:12]).decode() not in clean
    assert "[redacted:" in clean


def test_base64_that_is_wrapped_over_lines_hides_nothing() -> None:
    secret = "gh" + "p_" + "a1B2" * 9
    text = "".join(f"LINE_{n}=nothing of interest\n" for n in range(4)) + f"X={secret}\n" + "more and more\n" * 3
    wrapped = base64.encodebytes(text.encode()).decode()
    assert REDACTOR.text(f"$ base64 .env\n{wrapped}$ ") == "$ base64 .env\n[redacted:base64]\n$ "


@pytest.mark.parametrize("cut", range(1, 9))
def test_a_piece_of_base64_hides_nothing(cut: int) -> None:
    secret = "gh" + "p_" + "a1B2" * 9
    encoded = base64.b64encode(f"{'nothing of interest, ' * 9}X={secret}\nand so on".encode()).decode()
    assert REDACTOR.text(encoded[cut:-cut]) == "[redacted:base64]"


def test_structs_mappings_and_sequences_are_cleaned_inside() -> None:
    event = AgentMessage(id="1", workflow_id="wf", agent="developer", content=f"It is {PLAIN}.")
    assert REDACTOR.value(event).content == f"It is {MARKED}."
    found = REDACTOR.value({"a": [PLAIN, 1, None], "password": "s0mething-else", PLAIN: (b"x " + PLAIN.encode(),)})
    assert found == {"a": [MARKED, 1, None], "password": "[redacted:password]", MARKED: (b"x " + MARKED.encode(),)}


def test_what_is_clean_is_given_back_itself() -> None:
    event = AgentMessage(id="1", workflow_id="wf", agent="developer", content="Nothing." * 100)
    assert REDACTOR.value(event) is event
    data = msgspec.json.encode(event)
    assert REDACTOR.data(data) is data


def test_json_is_cleaned_by_its_strings_and_stays_json() -> None:
    lines = [{"say": f'a "quoted"\n{VALUE}'}, {"n": 1.5, "say": "nothing"}]
    data = b"\n".join(msgspec.json.encode(line) for line in lines) + b"\n"
    clean = REDACTOR.data(data).splitlines()
    assert json.loads(clean[0]) == {"say": 'a "quoted"\n[redacted:ODD]'}
    assert clean[1] == data.splitlines()[1]


def test_bytes_that_are_no_text_keep_everything_else() -> None:
    data = b"\xff\xfe\x00" + PLAIN.encode() + b"\x80\n"
    assert REDACTOR.data(data) == b"\xff\xfe\x00" + MARKED.encode() + b"\x80\n"


def test_binary_files_in_a_patch_stay_as_they_are_and_the_rest_does_not() -> None:
    blob = b"GIT binary patch\nliteral 14\nO%s012\n\nliteral 0\nHcmV?d00001\n\n" % PLAIN.encode()
    text = b"diff --git a/t b/t\n@@ -0,0 +1,3 @@\n+GIT binary patch\n+literal 14\n+%s\n"
    patch = b"diff --git a/b b/b\n" + blob + text
    assert REDACTOR.data(patch.replace(b"%s", PLAIN.encode())) == patch.replace(b"%s", MARKED.encode())
    clean = b"diff --git a/b b/b\n" + blob
    assert REDACTOR.data(clean) is clean


def test_of_a_bundle_only_the_titles_of_other_commits_are_changed() -> None:
    data = b"# v2 git bundle\n-" + b"a" * 40 + b" with %s\n" + b"b" * 40 + b" refs/heads/x\n\nPACK" + PLAIN.encode()
    assert REDACTOR.data(data.replace(b"%s", PLAIN.encode())) == data.replace(b"%s", MARKED.encode())
    assert REDACTOR.data(data) is data


def test_secrets_of_a_repository_are_known_from_its_settings(tmp_path: Path) -> None:
    (tmp_path / "deep").mkdir()
    (tmp_path / "deep" / ".env.local").write_text("DB_PASSWORD=lies-in-the-tree-1\nPORT=8080\nDB_USER=ada12345678\n")
    (tmp_path / "values.yaml").write_text("service:\n  apiKey: k3y-0f-the-service\n")
    (tmp_path / "test_it.py").write_text("PASSWORD = 'only-for-a-test-1'\n")
    (tmp_path / ".git").mkdir()
    (tmp_path / ".git" / "config").write_text("token = lies-in-git-itself-1\n")
    assert {value for _, value in in_worktree(tmp_path)} == {"lies-in-the-tree-1", "k3y-0f-the-service"}


@settings(max_examples=150)
@given(st.lists(st.sampled_from([PLAIN, VALUE, "password=", "token: ", '"', "\n", "a1B2c3D4e5F6g7H8", "x", " ", "="])))
def test_to_clean_twice_is_to_clean_once(parts: list[str]) -> None:
    once = REDACTOR.text("".join(parts))
    assert REDACTOR.text(once) == once
    assert PLAIN not in once


@settings(max_examples=150)
@given(st.integers(0, 60), st.lists(st.integers(1, 9), min_size=1))
def test_a_secret_that_comes_in_pieces_is_still_one(before: int, sizes: list[int]) -> None:
    text = "x" * before + f" {PLAIN}\nDB_PASSWORD = hunter2-hunter2 and\n" + "the end of it"
    stream, said, place, turn = Stream(REDACTOR), "", 0, 0
    while place < len(text):
        size = sizes[turn % len(sizes)]
        said += stream.feed(text[place : place + size])
        place, turn = place + size, turn + 1
    said += stream.flush()
    assert said == REDACTOR.text(text)


def test_a_key_of_many_lines_is_held_back_until_it_ends() -> None:
    dashes = "-" * 5
    key = (
        f"{dashes}BEGIN PRIVATE KEY{dashes}\n"
        + "MIIabc0123456789abcdef0123\n" * 20
        + f"{dashes}END PRIVATE KEY{dashes}\n"
    )
    stream = Stream(REDACTOR)
    said = "".join(stream.feed(line) for line in f"Look:\n{key}Bye.\n".splitlines(keepends=True)) + stream.flush()
    assert said == "Look:\n[redacted:private-key]\nBye.\n"


def test_text_flows_on_while_nothing_is_in_it() -> None:
    stream = Stream(REDACTOR)
    assert stream.feed("First line.\nSecond") == "First line.\n"
    assert len(stream.feed(" word" * 4_000)) > 10_000


def test_secrets_of_the_environment_are_known_by_their_names(tmp_path: Path) -> None:
    token, key = tmp_path / "token", tmp_path / "key.pem"
    token.write_text("from-a-file-123\n")
    key.write_text("-----BEGIN X-----\n" + "A1b2C3d4" * 8 + "\n-----END X-----\n")
    known = {
        value: name
        for name, value in in_environment(
            {
                "ANTHROPIC_API_KEY": "not-a-real-one-1",
                "MY_PASSWORD": "fourteen-and-more",
                "DATABASE_URL": "postgresql://amelia:p%40ssw0rd@host/db",
                "AMELIA_API_TOKEN_FILE": str(token),
                "AMELIA_GITHUB_PRIVATE_KEY_FILE": str(key),
                "MISSING_TOKEN_FILE": str(tmp_path / "nothing"),
                "AMELIA_MASTER_SECRET": "amelia/master-key",
                "SORT_KEY": "created_at",
                "PATH": "/usr/bin:/bin/with/digits1",
                "PWD": "/home/somebody1",
                "TOKEN_TTL": "1234567890",
                "AMELIA_MONTHLY_BUDGET_TOKENS": "100000000",
                "GOOGLE_APPLICATION_CREDENTIALS": str(key),
            }
        )
    }
    assert {"not-a-real-one-1", "fourteen-and-more", "p%40ssw0rd", "p@ssw0rd", "from-a-file-123"} <= known.keys()
    assert "A1b2C3d4" * 8 in known
    assert (
        not {"amelia/master-key", "created_at", "/home/somebody1", "1234567890", "100000000", str(key)} & known.keys()
    )


def test_what_is_too_short_to_be_told_from_words_is_none() -> None:
    redactor = Redactor([("PASSWORD", "test")])
    assert redactor.text("a test of it") == "a test of it"


def test_what_is_learnt_later_counts_from_then_on() -> None:
    redactor = Redactor()
    text = "here it is: learnt-later-9 " * 20
    assert redactor.text(text) is text
    redactor.learn("clone-token", "learnt-later-9")
    assert "learnt-later-9" not in redactor.text(text)


def test_a_program_says_its_last_words_and_its_log_without_secrets(tmp_path: Path) -> None:
    """Twice in what the log tells, once in the last words; and in the two lines of code that tracebacks show."""
    program = tmp_path / "program.py"
    program.write_text(
        "import logging\n"
        "from amelia.telemetry import start_logging\n"
        "start_logging('test', 'INFO')\n"
        "try:\n"
        "    raise ValueError('with canary-7f3e2b1a9c in it')\n"
        "except ValueError:\n"
        "    logging.getLogger('x').exception('failed with %s', 'canary-7f3e2b1a9c')\n"
        "raise RuntimeError('canary-7f3e2b1a9c')\n"
    )
    ended = subprocess.run(
        [sys.executable, program], capture_output=True, text=True, env={"MY_TOKEN": PLAIN, "PATH": "/usr/bin:/bin"}
    )
    assert ended.returncode == 1
    assert PLAIN not in ended.stderr
    assert ended.stderr.count("[redacted:MY_TOKEN]") == 5
    assert "RuntimeError: [redacted:MY_TOKEN]" in ended.stderr
