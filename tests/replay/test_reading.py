"""A file's mistakes, told with their lines."""

from pathlib import Path
from textwrap import dedent

import pytest

from amelia.errors import Malformed
from amelia_replay.__main__ import main
from amelia_replay.conversation import json_schema
from amelia_replay.reading import File, parse_file, read

GOOD = """\
version: 1
conversations:
  - agent: developer
    task: fix-*
    turns:
      - say: Hello
        call: {run_command: {command: "ls", at: 2026-01-01, dry: yes, time: 12:30, n: 010}}
        usage: {input_tokens: 5}
        errors: [{status: 429, retry_after: 0.5, times: 2}, {cut: 20}]
"""


def parsed(text: str) -> File:
    return parse_file("f.yaml", dedent(text))


def test_a_good_file_is_read() -> None:
    (section,) = parsed(GOOD).conversation.conversations
    assert (section.agent, section.task, section.round, section.repeat) == ("developer", "fix-*", 1, False)
    assert section.turns[0].errors[1].cut == 20


def test_only_what_looks_like_json_is_more_than_text() -> None:
    (call,) = parsed(GOOD).conversation.conversations[0].turns[0].calls
    arguments = {"command": "ls", "at": "2026-01-01", "dry": "yes", "time": "12:30", "n": "010"}
    assert call == ("run_command", arguments)


def test_anchors_are_followed() -> None:
    text = """\
        version: 1
        conversations:
          - agent: architect
            turns: &turns [{say: hello}]
          - agent: reviewer
            turns: *turns
        """
    assert parsed(text).conversation.conversations[1].turns[0].say == "hello"


@pytest.mark.parametrize(
    ("good", "bad", "told"),
    [
        ("say: Hello", "sya: Hello", "f.yaml, line 6: a turn has no 'sya'; did you mean 'say'?"),
        ("agent:", "agnet:", "f.yaml, line 3: a conversation has no 'agnet'; did you mean 'agent'?"),
        ("times: 2", "tmies: 2", "f.yaml, line 9: an error has no 'tmies'; did you mean 'times'?"),
        ("input_tokens", "tokens", "f.yaml, line 8: usage has no 'tokens'; did you mean"),
        ("conversations:", "conversation:", "f.yaml, line 2: the file has no 'conversation'"),
        ("version: 1", "version: 2", "f.yaml, line 1: invalid enum value 2 at version"),
        ("say: Hello", "say: 3", "f.yaml, line 6: expected str, got int at conversations[0].turns[0].say"),
        ("status: 429", "status: 200", "f.yaml, line 9: expected int >= 400 at"),
        ("cut: 20", "message: x", "f.yaml, line 9: the error does nothing; give it 'status' or 'cut'"),
        ("    task:", "    agent: again\n    task:", "f.yaml, line 4: the key 'agent' comes twice"),
        ("[{status: 429", "[{status: 429]", "f.yaml, line 9: expected ',' or '}', but got ']'"),
        ("developer", "develper", "f.yaml, line 3: there is no agent 'develper'; did you mean 'developer'?"),
        ("developer", "zzz", "f.yaml, line 3: there is no agent 'zzz', only architect, developer, reviewer, summary"),
        ("  - agent: developer\n", "  - round: 1\n", "f.yaml, line 3: object missing required field agent"),
    ],
)
def test_a_mistake_is_told_with_its_line(good: str, bad: str, told: str) -> None:
    assert good in GOOD
    with pytest.raises(Malformed) as mistake:
        parsed(GOOD.replace(good, bad, 1))
    assert str(mistake.value).startswith(told)


@pytest.mark.parametrize("text", ["", "- a", "just text", "null", "\t"])
def test_what_is_no_conversation_is_told(text: str) -> None:
    with pytest.raises(Malformed, match=r"f\.yaml"):
        parse_file("f.yaml", text)


def test_a_turn_that_answers_nothing_is_told() -> None:
    with pytest.raises(Malformed, match=r"line 4: the turn answers nothing; give it 'say' or 'call'"):
        parsed("version: 1\nconversations:\n  - agent: summary\n    turns: [{latency: 1}]\n")


def test_the_same_conversation_twice_is_told_with_both_lines() -> None:
    section = "  - agent: summary\n    turns: [{say: x}]\n"
    text = f"version: 1\nconversations:\n{section}{section}"
    with pytest.raises(Malformed, match=r"line 5: summary, round 1 was already given in line 3"):
        parse_file("f.yaml", text)


def test_a_file_that_is_not_there_is_told(tmp_path: Path) -> None:
    with pytest.raises(Malformed, match="cannot be read"):
        read(tmp_path / "absent.yaml")


def test_the_command_says_the_mistake_in_one_line_and_exits_2(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "bad.yaml"
    path.write_text(GOOD.replace("say", "sya"), encoding="utf-8")
    assert main(["--conversation", str(path), "--check"]) == 2
    said = capsys.readouterr().err.splitlines()
    assert said == ["amelia-replay: bad.yaml, line 6: a turn has no 'sya'; did you mean 'say'?"]


def test_the_command_checks_a_good_file(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "good.yaml"
    path.write_text(GOOD, encoding="utf-8")
    assert main(["--conversation", str(path), "--check"]) == 0
    assert capsys.readouterr().out == "good.yaml: no mistakes found\n"


def test_the_schema_describes_every_part_and_refuses_unknown_keys() -> None:
    parts = json_schema()["$defs"]
    ours = {"Conversation", "Section", "Turn", "Fault", "Tokens"}
    assert ours <= set(parts)
    assert all(parts[name]["additionalProperties"] is False for name in ours)


def test_the_example_of_the_documentation_is_a_good_file() -> None:
    page = Path(__file__).parents[2] / "docs" / "conversations.md"
    example = page.read_text(encoding="utf-8").split("```yaml\n")[1].split("```")[0]
    agents = [section.agent for section in parse_file("example", example).conversation.conversations]
    assert agents == ["architect", "developer", "reviewer"]
