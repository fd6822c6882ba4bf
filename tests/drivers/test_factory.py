import subprocess
import sys
from pathlib import Path

import pytest

from amelia.drivers import factory
from amelia.drivers.base import Label, Message, Request, Text
from amelia.drivers.connections import is_loopback
from amelia.errors import Refused


def test_an_unknown_driver_is_refused_with_the_known_and_the_nearest() -> None:
    known = "api:anthropic, api:openai, api:bedrock, cli:claude"
    with pytest.raises(Refused, match=rf"only {known}; did you mean api:openai\?"):
        factory.create("api:openia", environ={})


@pytest.mark.parametrize("short", ["anthropic", "bedrok", "claude"])
def test_a_driver_named_without_its_beginning_is_recognised_in_the_refusal(short: str) -> None:
    with pytest.raises(Refused, match=r"did you mean (api|cli):"):
        factory.default_model(short)


@pytest.mark.parametrize(
    ("driver", "environ", "variable"),
    [
        ("api:anthropic", {}, "ANTHROPIC_API_KEY"),
        ("api:anthropic", {"ANTHROPIC_API_KEY": " "}, "ANTHROPIC_API_KEY"),
        ("api:openai", {}, "OPENAI_API_KEY"),
        ("api:bedrock", {}, "AWS_REGION"),
        ("api:bedrock", {"AWS_REGION": "us-east-1", "AWS_ACCESS_KEY_ID": "k"}, "AWS_SECRET_ACCESS_KEY"),
    ],
)
def test_a_missing_credential_is_refused_by_its_name(driver: str, environ: dict[str, str], variable: str) -> None:
    with pytest.raises(Refused, match=variable):
        factory.create(driver, environ=environ)


@pytest.mark.parametrize("driver", factory.names())
def test_every_driver_has_a_default_model(driver: str) -> None:
    assert factory.default_model(driver)


def test_importing_the_factory_imports_no_sdk() -> None:
    program = (
        "import sys, amelia.drivers.factory;"
        "sys.exit(bool({'anthropic', 'openai', 'aiobotocore', 'botocore', 'httpx2'} & set(sys.modules)))"
    )
    assert subprocess.run([sys.executable, "-c", program], check=False).returncode == 0


def test_bedrock_metadata_carries_any_label_in_the_letters_it_allows() -> None:
    import re

    from amelia.drivers.bedrock import metadata_value

    label = Label(workflow_id="wf-1", issue="~a %&=+ü$,@", agent="developer", task="x/y:z")
    value = metadata_value(label)
    assert re.fullmatch(r"[a-zA-Z0-9\s:_@$#=/+,\-.]{0,256}", value)
    assert Label.decode(value.translate(str.maketrans("$,@", "%&~"))) == label


@pytest.mark.parametrize(
    ("url", "loopback"),
    [
        ("http://127.0.0.1:8430", True),
        ("http://localhost/v1", True),
        ("http://[::1]:1", True),
        ("https://api.openai.com/v1", False),
        (None, False),
    ],
)
def test_only_addresses_on_this_machine_go_past_a_proxy(url: str | None, loopback: bool) -> None:
    assert is_loopback(url) is loopback


async def test_aws_credentials_found_nowhere_are_refused_with_what_to_set(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """The SDK's own chain reads the process's environment."""
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_PROFILE", "AWS_BEARER_TOKEN_BEDROCK"):
        monkeypatch.delenv(name, raising=False)
    for name in ("AWS_SHARED_CREDENTIALS_FILE", "AWS_CONFIG_FILE"):
        monkeypatch.setenv(name, str(tmp_path / "absent"))
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    driver = factory.create("api:bedrock", base_url="http://127.0.0.1:9", environ={"AWS_REGION": "us-east-1"})
    request = Request(
        model="m",
        system="",
        messages=(Message("user", (Text("hello"),)),),
        label=Label(workflow_id="w", issue="i", agent="a"),
    )
    with pytest.raises(Refused, match="set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, AWS_PROFILE or AWS_BEARER"):
        await anext(driver.stream(request))
    await driver.aclose()


def test_a_label_carries_the_longest_name_of_a_task_and_of_the_merge_after_it() -> None:
    task = "merge-" + "x" * 48
    label = Label(
        workflow_id="wf-3f0e8a52-9c38-4c8e-8b3c-5d8a1f6f9d0a",
        issue="owner/repository#1234" * 4,
        agent="developer",
        task=task,
        round=12,
        turn=40,
    )
    assert len(label.encode()) <= 256
    assert Label.decode(label.encode()).task == task


async def test_where_a_conversation_file_is_played_claude_code_is_not_started() -> None:
    environ = {factory.PLAYED: "http://127.0.0.1:9", "ANTHROPIC_API_KEY": "replay", "PATH": "/nowhere"}
    driver = factory.create("cli:claude", environ=environ)
    assert driver.name == "api:anthropic"
    await driver.aclose()
