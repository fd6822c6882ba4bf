"""``amelia profile`` and ``amelia config``."""

import json
import re
from pathlib import Path

import msgspec
import pytest
import yaml

from amelia.profiles import Document

from .conftest import Amelia

PAGE = Path(__file__).parents[2] / "docs" / "profiles.md"
EXAMPLE = re.findall(r"```yaml\n(.*?)```", PAGE.read_text(), re.DOTALL)[0]


@pytest.fixture
def settings() -> Path:
    """The example of the documentation, in the current directory."""
    Path("docs/issues").mkdir(parents=True)
    file = Path("settings.amelia.yaml")
    file.write_text(EXAMPLE)
    return file


@pytest.mark.usefixtures("settings")
def test_the_documented_example_has_no_mistake(amelia: Amelia) -> None:
    ran = amelia("profile", "check")
    assert (ran.code, "2 profiles, no mistake" in ran.out, ran.err) == (0, True, "")


def test_every_key_is_documented_with_an_example_that_holds_most_of_them() -> None:
    text = PAGE.read_text()
    fields = {
        field.name
        for field in msgspec.structs.fields(msgspec.convert(yaml.safe_load(EXAMPLE), Document).profiles["prod"])
    }
    assert fields - set(re.findall(r"^\| `(\w+)`", text, re.MULTILINE)) == set()


@pytest.mark.usefixtures("settings")
def test_the_list_has_a_star_at_the_one_that_is_taken(amelia: Amelia) -> None:
    lines = amelia("profile", "list").out.splitlines()
    assert [line.split()[:2] for line in lines[1:]] == [["*", "laptop"], ["prod", "api:bedrock"]]
    told = json.loads(amelia("profile", "list", "--output", "json").out)
    assert (told["active"], set(told["profiles"])) == ("laptop", {"laptop", "prod"})


def test_without_a_file_there_is_the_built_in_profile_and_nothing_to_check(amelia: Amelia) -> None:
    ran = amelia("profile", "list")
    assert (ran.code, "*  default" in ran.out, "built-in" in ran.err) == (0, True, True)
    assert amelia("profile", "check").code == 4


@pytest.mark.usefixtures("settings")
def test_a_profile_that_is_shown_can_be_written_as_it_stands(amelia: Amelia) -> None:
    shown = amelia("profile", "show", "prod").out
    said = yaml.safe_load(shown)["prod"]
    assert said == {
        "driver": "api:bedrock",
        "tracker": "github",
        "cloud": {"control_plane_url": "https://amelia.example.com", "region": "us-east-1", "auto_approve": False},
    }
    whole = yaml.safe_load(re.sub(r"^  # ", "  ", shown, flags=re.MULTILINE))
    assert whole["prod"]["retry"] == {"attempts": 6, "max_pause_seconds": 60}
    Path("again.yaml").write_text("profiles:\n" + "".join(f"  {line}\n" for line in shown.splitlines()))
    assert amelia("profile", "check", "--settings", "again.yaml").code == 0


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("profiles:\n  a:\n    modle: x", "settings.amelia.yaml:3: unknown key 'modle' in profile 'a'; did you mean"),
        ("active_profile: b\nprofiles: {a: {}}", "no profile 'b' in"),
        ("profiles: {a: {policy: none.yaml}, b: {}}", "none.yaml cannot be read"),
        ("profiles: {a: {tracker: file, issues: nowhere}, b: {}}", "there is no directory"),
    ],
)
def test_a_mistake_ends_the_check_with_where_it_is(amelia: Amelia, settings: Path, text: str, said: str) -> None:
    settings.write_text(text)
    ran = amelia("profile", "check")
    assert (ran.code, said in ran.err, len(ran.err.splitlines())) == (2, True, 1), ran.err


def test_what_has_no_effect_is_noted(amelia: Amelia, settings: Path) -> None:
    settings.write_text("profiles: {a: {policy: {otherwise: ask}, model: x, tracker: github, issues: docs/issues}}")
    ran = amelia("profile", "check")
    assert (ran.code, ran.err.count("note: a: ")) == (0, 3), ran.err
    assert len(json.loads(amelia("profile", "check", "--output", "json").out)["notes"]) == 3


def test_the_schema_is_the_one_that_is_published(amelia: Amelia) -> None:
    schema = json.loads(amelia("config", "schema").out)
    assert schema == json.loads((PAGE.parents[1] / "schemas" / "settings.json").read_text())
    assert schema["$defs"]["ProfileSettings"]["properties"]["parallel_tasks"]["description"]
