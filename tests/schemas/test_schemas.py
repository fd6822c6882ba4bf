import re
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any, get_args

import msgspec
import pytest
import yaml

from amelia.contract import codec, signature
from amelia.contract.commands import AnyCommand
from amelia.contract.envelope import Command, Event
from amelia.contract.events import AnyEvent, ControlFact
from amelia.contract.export.example_story import MASTER
from amelia.contract.export.messages import tag_of, types
from amelia.profiles import Document
from amelia_replay.conversation import Conversation

ROOT = Path(__file__).parents[2]
FOLDER = ROOT / "schemas"
COMMANDS: tuple[Any, ...] = get_args(AnyCommand)
EVENTS: tuple[Any, ...] = get_args(AnyEvent)
MESSAGES = [f"commands/{tag_of(k)}" for k in COMMANDS] + [f"events/{tag_of(k)}" for k in EVENTS]


def text(name: str) -> bytes:
    return (FOLDER / f"{name}.json").read_bytes()


def test_the_folder_is_what_the_code_says(writer: ModuleType, made: dict[str, bytes]) -> None:
    assert writer.differing(made, FOLDER) == []


def test_what_is_out_of_date_missing_or_left_over_is_named(writer: ModuleType, tmp_path: Path) -> None:
    made = {"a.json": b"1", "deep/b.json": b"2"}
    assert writer.write(made, tmp_path) == ["a.json", "deep/b.json"]
    assert writer.write(made, tmp_path) == []
    (tmp_path / "a.json").write_bytes(b"other")
    (tmp_path / "deep" / "b.json").unlink()
    (tmp_path / "c.json").touch()
    assert writer.differing(made, tmp_path) == ["a.json", "c.json", "deep/b.json"]
    writer.write(made, tmp_path)
    assert not (tmp_path / "c.json").exists()


def test_checking_names_the_file_and_the_way_out(
    writer: ModuleType, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert writer.main(["--to", str(tmp_path)]) == 0
    assert writer.main(["--check", "--to", str(tmp_path)]) == 0
    (tmp_path / "plan.json").write_text("{}")
    assert writer.main(["--check", "--to", str(tmp_path)]) == 1
    said = capsys.readouterr().err
    assert "plan.json" in said
    assert "make schemas" in said


@pytest.mark.parametrize("name", MESSAGES)
def test_an_example_decodes_to_what_it_was_made_from(name: str) -> None:
    body = text(f"examples/{name}")
    decoded = codec.decode_command(body) if name.startswith("commands/") else codec.decode_event(body)
    assert type(decoded) is types()[name]
    assert msgspec.json.decode(codec.encode(decoded)) == msgspec.json.decode(body)


@pytest.mark.parametrize("name", sorted(types()))
def test_an_example_fits_its_schema_and_half_of_one_does_not(name: str, json_schema: ModuleType) -> None:
    schemas = json_schema.Schemas(FOLDER)
    example = msgspec.json.decode(text(f"examples/{name}"))
    assert schemas.errors(f"{name}.json", example) == []
    for field in msgspec.json.decode(text(name)).get("required", ()):
        without = {key: value for key, value in example.items() if key != field}
        assert schemas.errors(f"{name}.json", without), f"{field} is required"


def test_every_field_of_the_envelope_is_explained() -> None:
    for name in MESSAGES:
        envelope = Command if name.startswith("commands/") else Event
        properties = msgspec.json.decode(text(name))["properties"]
        for field in ("type", *envelope.__struct_fields__):
            assert properties[field].get("description"), f"{name}: {field} has no description"


def test_descriptions_are_plain_words() -> None:
    for path in FOLDER.rglob("*.json"):
        for description in descriptions(msgspec.json.decode(path.read_bytes())):
            assert "``" not in description, f"{path}: {description}"
            assert "\n " not in description, f"{path}: {description}"


def test_the_signatures_of_the_examples_are_those_of_their_attempts() -> None:
    for kind in EVENTS:
        fields = msgspec.json.decode(text(f"examples/events/{tag_of(kind)}"))
        if kind in get_args(ControlFact):
            assert "signature" not in fields
        else:
            key = signature.attempt_key(MASTER, fields["workflow_id"], fields["attempt"])
            assert signature.verify(fields, key)


def test_a_frame_of_the_stream_is_an_event_with_its_sequence(json_schema: ModuleType) -> None:
    schemas = json_schema.Schemas(FOLDER)
    event = msgspec.json.decode(text("examples/events/branch_pushed"))
    assert schemas.errors("stream/event.json", {"sequence": 9, **event}) == []
    assert schemas.errors("stream/event.json", event)
    assert schemas.errors("stream/event.json", {"sequence": 9, **event, "type": "nothing_of_ours"})


def test_the_sample_conversation_and_a_settings_file_fit_their_schemas(json_schema: ModuleType) -> None:
    schemas = json_schema.Schemas(FOLDER)
    for path in sorted(ROOT.glob("examples/*/conversation.yaml")):
        conversation = yaml.safe_load(path.read_text())
        assert schemas.errors("conversation.json", conversation) == []
        msgspec.convert(conversation, Conversation)
    settings = {"active_profile": "laptop", "profiles": {"laptop": {"driver": "api:anthropic", "tracker": "file"}}}
    assert schemas.errors("settings.json", settings) == []
    msgspec.convert(settings, Document)
    example = re.findall(r"```yaml\n(.*?)```", (ROOT / "docs" / "profiles.md").read_text(), re.DOTALL)[0]
    assert schemas.errors("settings.json", yaml.safe_load(example)) == []
    assert schemas.errors("settings.json", {"profile": {}})


@pytest.mark.parametrize("name", ["asyncapi.json", "openapi.json", "stream/event.json"])
def test_every_reference_leads_somewhere(name: str, json_schema: ModuleType) -> None:
    schemas, path = json_schema.Schemas(FOLDER), FOLDER / name
    found = list(references(json_schema.load(path)))
    assert found
    for reference in found:
        _, target = schemas._follow(path, reference)
        assert isinstance(target, dict)


def test_asyncapi_tells_of_every_message_who_says_it() -> None:
    document = msgspec.json.decode(text("asyncapi"))
    messages = document["components"]["messages"]
    assert messages.keys() >= {name.partition("/")[2] for name in MESSAGES}
    assert messages["workflow_blocked"]["headers"]["properties"]["source"] == {"const": "amelia.runtime"}
    assert messages["workflow_approved"]["headers"]["properties"]["source"] == {"const": "amelia.control"}


def test_openapi_has_the_routes_of_workflows_and_health() -> None:
    document = msgspec.json.decode(text("openapi"))
    assert document["openapi"].startswith("3.1")
    paths = document["paths"]
    assert {"get", "post"} <= paths["/api/v1/workflows"].keys()
    assert {"get", "delete"} <= paths["/api/v1/workflows/{workflow_id}"].keys()
    assert {"/api/v1/health/live", "/api/v1/health/ready"} <= paths.keys()


def descriptions(value: Any) -> Iterator[str]:
    if isinstance(value, dict):
        if isinstance(value.get("description"), str):
            yield value["description"]
        for item in value.values():
            yield from descriptions(item)
    elif isinstance(value, list):
        for item in value:
            yield from descriptions(item)


def references(value: Any) -> Iterator[str]:
    if isinstance(value, dict):
        if isinstance(value.get("$ref"), str):
            yield value["$ref"]
        for item in value.values():
            yield from references(item)
    elif isinstance(value, list):
        for item in value:
            yield from references(item)
