from pathlib import Path

import pytest

from amelia.contract.workflow import AgentChoices, Budget, ModelChoice, Profile, Retry, Tell
from amelia.domain.policy import OPEN, Policy, Rule
from amelia.errors import Refused
from amelia.profiles import Chosen, choose, find

WHOLE = """
active_profile: laptop
profiles:
  laptop:
    driver: "api:anthropic"
    model: claude
    tracker: file
    issues: docs/issues
    max_iterations: 5
    auto_approve: true
    approval_minutes: 90
    budget: {dollars: 2.5, tokens: 9}
  prod:
    driver: "api:bedrock"
    strategy: single
    cloud:
      region: us-east-1
      control_plane_url: https://amelia.example.com
      auto_approve: false
  empty:
"""


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "settings.amelia.yaml"
    path.write_text(WHOLE)
    return path


def test_the_active_profile_is_taken_and_becomes_the_contract_s(file: Path) -> None:
    chosen = choose(file)
    assert chosen.profile == Profile(
        name="laptop",
        driver="api:anthropic",
        model="claude",
        tracker="file",
        max_iterations=5,
        auto_approve=True,
        approval_minutes=90,
        budget=Budget(microdollars=2_500_000, tokens=9),
    )
    assert chosen.settings.issues == str(file.parent / "docs/issues")


EVERYTHING = """
profiles:
  default:
    driver: "api:anthropic"
    agents:
      reviewer: {driver: "api:openai", model: gpt}
    fallback: {model: smaller}
    retry: {attempts: 2, max_pause_seconds: 5}
    strategy: competitive
    tracker: jira
    tell: {start: false}
    parallel_tasks: 8
"""


def test_what_is_chosen_for_agents_and_bad_days_becomes_the_contract_s(file: Path) -> None:
    file.write_text(EVERYTHING)
    assert choose(file).profile == Profile(
        driver="api:anthropic",
        agents=AgentChoices(reviewer=ModelChoice(driver="api:openai", model="gpt")),
        fallback=ModelChoice(model="smaller"),
        retry=Retry(attempts=2, max_pause_seconds=5),
        strategy="competitive",
        tracker="jira",
        tell=Tell(start=False),
        parallel_tasks=8,
    )


def test_a_profile_takes_over_another_s_keys_and_sections_without_any_are_as_if_left_out(file: Path) -> None:
    file.write_text(
        "profiles:\n  a: &a {model: x, tracker: jira}\n  b: {<<: *a, tracker: github, budget: , agents: , fallback: }\n"
    )
    assert choose(file, "b").profile == Profile(name="b", model="x", tracker="github")
    file.write_text("profiles:\n  a: &a {modle: x}\n  b: {<<: *a}\n")
    with pytest.raises(Refused, match=":2: unknown key 'modle' in profile 'a'"):
        choose(file, "b")


RULES = "rules: [{name: small, then: approve, tasks: 2}]"


def test_an_approval_policy_is_a_file_beside_the_settings_or_stands_in_them(file: Path) -> None:
    wanted = Policy(rules=(Rule(name="small", then="approve", tasks=2),))
    file.write_text(f"profiles: {{default: {{policy: {{{RULES}}}}}}}")
    assert choose(file).settings.approval() == wanted
    (file.parent / "approval.yaml").write_text(RULES)
    file.write_text("profiles: {default: {policy: approval.yaml}, other: {}}")
    assert choose(file).settings.approval() == wanted
    assert choose(file, "other").settings.approval() == OPEN
    (file.parent / "approval.yaml").write_text("rules: [{name: small}]")
    with pytest.raises(Refused, match=r"approval\.yaml, rule 1"):
        choose(file).settings.approval()


def test_a_named_profile_goes_before_the_active(file: Path) -> None:
    assert choose(file, "prod").settings.cloud.control_plane_url == "https://amelia.example.com"
    assert choose(file, "empty").profile == Profile(name="empty")


def test_without_a_file_there_is_the_built_in_default(tmp_path: Path) -> None:
    assert choose(None) == choose(None, "default") == Chosen()
    with pytest.raises(Refused, match="no profile 'prod'"):
        choose(None, "prod")


@pytest.mark.parametrize("text", ["", "# nothing\n", "profiles:\n", "profiles: {}\n", "profiles: {other: {}}\n"])
def test_a_file_without_an_active_profile_leaves_the_default(file: Path, text: str) -> None:
    file.write_text(text)
    assert choose(file).profile == Profile()


def test_the_file_is_searched_upwards_unless_it_is_named(file: Path, tmp_path: Path) -> None:
    deep = tmp_path / "a" / "b"
    deep.mkdir(parents=True)
    assert find(deep, {}) == file
    other = tmp_path / "other.yaml"
    other.write_text("")
    assert find(deep, {"AMELIA_SETTINGS": str(other)}) == other
    assert find(tmp_path, {}, Path("other.yaml")) == other
    with pytest.raises(Refused, match=r"no settings file none\.yaml"):
        find(deep, {}, Path("none.yaml"))


def test_a_misspelt_profile_names_the_file_and_the_nearest(file: Path) -> None:
    with pytest.raises(Refused, match=rf"no profile 'prd' in {file}; did you mean 'prod'\?"):
        choose(file, "prd")
    with pytest.raises(Refused, match="it has empty, laptop, prod"):
        choose(file, "xyzzy")


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("active_profile: x\nprofiles: {y: {}}", "named by its active_profile; it has y"),
        ("profles:\n  a: {}", ":1: unknown key 'profles' in the file; did you mean 'profiles'?"),
        ("profiles:\n  a:\n    modle: x", ":3: unknown key 'modle' in profile 'a'; did you mean 'model'?"),
        ("profiles:\n  a:\n    cloud:\n      regoin: x", ":4: unknown key 'regoin' in cloud; did you mean 'region'?"),
        ("profiles:\n  a:\n    qqq: x", ":3: unknown key 'qqq' in profile 'a'; known are driver"),
        ("profiles:\n  a:\n    driver: api:bedrok", ":3: driver: 'api:bedrok' does not fit"),
        ("profiles:\n  a:\n    driver: api:bedrok", "did you mean 'api:bedrock'?"),
        ("profiles:\n  a:\n    max_iterations: 0", ":3: max_iterations: 0 does not fit"),
        ("profiles:\n  a:\n    max_iterations: many", ":3: max_iterations: 'many' does not fit"),
        ("profiles:\n  a:\n    auto_approve: 'yes'", ":3: auto_approve: 'yes' does not fit"),
        ("profiles:\n  a:\n    tracker: gihtub", ":3: tracker: 'gihtub' does not fit"),
        ("profiles:\n  a:\n    cloud: {control_plane_url: amelia.example.com}", ":3: control_plane_url:"),
        ("profiles:\n  a:\n    cloud: here", ":3: cloud must be keys and values"),
        ("profiles:\n  a: {tracker: gihtub}", "did you mean 'github'?"),
        ("profiles:\n  a:\n    agents: {coder: {}}", ":3: unknown key 'coder' in agents; did you mean 'developer'"),
        ("profiles:\n  a:\n    agents:\n      reviewer: {modle: x}", ":4: unknown key 'modle' in reviewer; did you"),
        ("profiles:\n  a:\n    agents:\n      reviewer: {driver: openai}", "did you mean 'api:openai'?"),
        ("profiles:\n  a:\n    fallback: x", ":3: fallback: 'x' does not fit"),
        ("profiles:\n  a:\n    retry: {attempts: 0}", ":3: attempts: 0 does not fit"),
        ("profiles:\n  a:\n    tell: {start: 1}", ":3: start: 1 does not fit"),
        ("profiles:\n  a:\n    strategy: competitve", "did you mean 'competitive'?"),
        ("profiles:\n  a:\n    parallel_tasks: 99", ":3: parallel_tasks: 99 does not fit"),
        ("profiles:\n  a:\n    policy: {rules: x}", ":3: rules must be a list"),
        ("profiles:\n  a:\n    policy:\n      rules:\n        - {name: x}", ":5: rules, part 1 has no 'then'; add it"),
        ("profiles:\n  a:\n    policy:\n      rules:\n        - {name: x, than: ask}", ":5: unknown key 'than'"),
        ("profiles:\n  a: [1]", ":2: profile 'a' must be keys and values"),
        ("profiles: [a]", ":1: profiles must be keys and values"),
        ("- a", ":1: the file must be keys and values"),
        ("profiles:\n  a: {}\n  a: {}", ":3: 'a' is there twice in profiles"),
        ("profiles:\n\ta: {}", ":2 is not YAML"),
        ("profiles: [", " is not YAML"),
        ("profiles: *nobody", ":1 is not YAML"),
        ("a: b\n---\nc: d", ":2 is not YAML"),
        ("profiles: !!python/object:os.system {}", ":1 is not YAML"),
        ("[" * 5000, " is not YAML"),
        ("a: \x00", " is not YAML"),
    ],
)
def test_a_mistake_is_told_with_its_line_and_what_would_be_right(file: Path, text: str, sentence: str) -> None:
    file.write_text(text)
    with pytest.raises(Refused) as caught:
        choose(file, "")
    assert sentence in str(caught.value)
    assert str(file) in str(caught.value)
    assert "\n" not in str(caught.value)
