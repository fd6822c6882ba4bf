"""The file with the rules that ``auto_approve`` selects."""

import os
from pathlib import Path

import pytest

from amelia.domain.policy import OPEN, Policy, Rule
from amelia.errors import Refused
from amelia.policy_file import PolicyFile, read

GOOD = """
otherwise: ask
rules:
  - name: documentation alone
    then: approve
    paths: ["docs/**", "*.md"]
    tasks: 5
    dollars: 2.5
    ci: false
"""


def written(folder: Path, text: str) -> Path:
    file = folder / "policy.yaml"
    file.write_text(text)
    return file


def test_a_file_is_read_into_its_rules(tmp_path: Path) -> None:
    rule = Rule(name="documentation alone", then="approve", paths=("docs/**", "*.md"), tasks=5, dollars=2.5, ci=False)
    assert read(written(tmp_path, GOOD)) == Policy(otherwise="ask", rules=(rule,))
    assert read(written(tmp_path, "# nothing yet\n")) == Policy()


def test_without_a_file_what_was_started_with_auto_approve_is_approved() -> None:
    assert PolicyFile("")() == OPEN


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("rulse: []", r"policy.yaml, the policy: there is no key 'rulse'; did you mean 'rules'\?"),
        ("rules: yes", r"policy.yaml, rules: it must be a list; begin each rule with a dash"),
        ("- a", r"policy.yaml, the policy: it must be keys and values"),
        ("otherwise: perhaps", r"policy.yaml, the policy: otherwise does not fit: invalid enum value 'perhaps'"),
        ("rules:\n  - then: ask", r"policy.yaml, rule 1: it does not fit: object missing required field `name`"),
        (
            "rules:\n  - {name: a, then: ask}\n  - {name: b, then: aprove}",
            r"policy.yaml, rule 2 \(b\): then does not fit: invalid enum value 'aprove'",
        ),
        (
            "rules:\n  - {name: a, then: ask, path: ['**']}",
            r"policy.yaml, rule 1 \(a\): there is no key 'path'; did you mean 'paths'\?",
        ),
        ("rules: [a", r"policy.yaml:1 is not YAML: .*; mend that line"),
        ("\x00", r"policy.yaml is not YAML"),
        ("[" * 5000, r"policy.yaml is not YAML"),
    ],
)
def test_what_does_not_fit_is_refused_in_one_sentence_with_file_and_key(tmp_path: Path, text: str, said: str) -> None:
    with pytest.raises(Refused, match=said) as refused:
        read(written(tmp_path, text))
    assert "\n" not in str(refused.value)


def test_a_file_that_is_not_there_is_refused_at_the_beginning(tmp_path: Path) -> None:
    with pytest.raises(Refused, match="cannot be read"):
        PolicyFile(str(tmp_path / "none.yaml"))


def test_a_changed_file_is_read_again_and_a_broken_one_leaves_the_last_rules(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    file = written(tmp_path, GOOD)
    policy = PolicyFile(str(file))
    before = policy()
    os.utime(written(tmp_path, "otherwise: [broken"), ns=(1, 1))
    assert policy() == before
    assert policy() == before
    assert caplog.text.count("stays in force") == 1, "said once"
    file.unlink()
    assert policy() == before
    os.utime(written(tmp_path, "otherwise: approve"), ns=(2, 2))
    assert policy() == Policy(otherwise="approve")
