"""What is on the wire, and what only looks like it."""

import json
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from amelia.contract import codec, signature
from amelia.contract import commands as c
from amelia.contract import events as e
from amelia.contract.envelope import Event
from amelia.contract.ids import WORKFLOW_ID, derive_id, derived_workflow_id, new_workflow_id
from amelia.contract.plan import plan_sha256
from amelia.errors import Malformed

from ..samples import CONTROL_TYPES, EVENT_TYPES, PLAN, Voice, order, start, variants

KEY = signature.attempt_key(b"master", "wf", 1)

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=12), inner, max_size=4),
    max_leaves=12,
)
FIELDS = st.sampled_from(
    ["type", "id", "workflow_id", "attempt", "fact", "ordinal", "last_fact", "version", "signature", "plan", "used"]
)
TAGS = st.sampled_from([*sorted(codec.KNOWN_EVENTS), "start_workflow", "new"])
NEARLY = st.dictionaries(FIELDS, JSON | TAGS, max_size=8)

HOSTILE = {
    "nothing": b"",
    "not JSON": b"{'type': 1}",
    "a number": b"1",
    "an array": b"[]",
    "null": b"null",
    "cut": b'{"type":"start_workf',
    "deep": b'{"type":"new","a":' + b"[" * 100_000 + b"]" * 100_000 + b"}",
    "rather deep": b'{"type":"new","id":"1","workflow_id":"w","a":' + b"[" * 900 + b"]" * 900 + b"}",
    "lone surrogate": b'{"type":"new","id":"\\ud800","workflow_id":"w"}',
    "cut surrogate": b'{"type":"new","id":"\\ud83d',
    "not UTF-8": b'{"type":"new","id":"\xff","workflow_id":"w"}',
    "huge int": b'{"type":"new","id":"1","workflow_id":"w","attempt":' + b"9" * 5000 + b"}",
    "huge float": b'{"type":"new","id":"1","workflow_id":"w","attempt":1e999}',
    "NaN": b'{"type":"new","id":"1","workflow_id":"w","attempt":NaN}',
    "raw NUL": b'{"type":"new","id":"\x00","workflow_id":"w"}',
    "type a list": b'{"type":[],"id":"1","workflow_id":"w"}',
    "type an object": b'{"type":{},"id":"1","workflow_id":"w"}',
    "type missing": b'{"id":"1","workflow_id":"w"}',
    "id missing": b'{"type":"new","workflow_id":"w"}',
    "negative attempt": b'{"type":"new","id":"1","workflow_id":"w","attempt":-1}',
    "attempt beyond an integer's column": b'{"type":"new","id":"1","workflow_id":"w","attempt":2147483648}',
    "fact beyond an integer's column": b'{"type":"agent_started","agent":"x","id":"1","workflow_id":"w","fact":9e9}',
    "known type, wrong fields": b'{"type":"agent_started","id":"1","workflow_id":"w"}',
}


@pytest.mark.parametrize("name", HOSTILE)
def test_what_is_no_event_is_malformed_and_nothing_else(name: str) -> None:
    with pytest.raises(Malformed):
        codec.decode_event(HOSTILE[name])
        if name == "rather deep":
            raise Malformed("some depth may be read; it only must not break")


@pytest.mark.parametrize("name", HOSTILE)
def test_what_is_no_command_is_malformed_and_nothing_else(name: str) -> None:
    with pytest.raises(Malformed):
        codec.decode_command(HOSTILE[name])


def test_text_that_cannot_be_encoded_is_malformed() -> None:
    for decode in (codec.decode_event, codec.decode_command, codec.decode_object):
        with pytest.raises(Malformed):
            decode('{"type":"new","id":"\ud800","workflow_id":"w"}')


@settings(max_examples=150, deadline=None)
@given(
    st.binary(max_size=80) | JSON.map(lambda x: json.dumps(x).encode()) | NEARLY.map(lambda x: json.dumps(x).encode())
)
def test_random_bytes_are_malformed_or_a_message(body: bytes) -> None:
    for decode in (codec.decode_event, codec.decode_command):
        try:
            message = decode(body)
        except Malformed:
            continue
        assert codec.type_of(message)
        codec.encode(message)


@pytest.mark.parametrize("kind", EVENT_TYPES)
def test_an_event_comes_back_as_it_went(kind: type[Event]) -> None:
    for event in variants(kind, "wf", attempt=1, fact=2, timestamp="t", correlation_id="c", traceparent="p"):
        assert codec.decode_event(codec.encode(event)) == event
        assert codec.type_of(event) in codec.KNOWN_EVENTS


def test_a_command_comes_back_as_it_went() -> None:
    kinds: tuple[Any, ...] = (c.ApproveWorkflow, c.RejectWorkflow, c.CancelWorkflow, c.AttendWorkflow)
    for command in (start(), *(order(kind, "wf") for kind in (*kinds, c.DeliverWorkflow))):
        assert codec.decode_command(codec.encode(command)) == command


def test_a_command_with_a_field_of_nobodys_is_malformed() -> None:
    with pytest.raises(Malformed, match="unknown field"):
        codec.decode_command(b'{"type":"cancel_workflow","id":"1","workflow_id":"w","actor":"a","force":true}')


def test_a_newer_version_s_event_is_known_by_its_type_and_its_place() -> None:
    event = codec.decode_event(b'{"type":"agent_dreamt","id":"1","workflow_id":"w","fact":3,"dream":{"of":[1.5]}}')
    assert isinstance(event, e.UnknownEvent)
    assert (event.of_type, event.fact, codec.type_of(event)) == ("agent_dreamt", 3, "agent_dreamt")


def test_an_unknown_event_cannot_pass_for_another_type_than_it_has() -> None:
    body = b'{"type":"agent_dreamt","of_type":"workflow_approved","id":"1","workflow_id":"w"}'
    assert codec.type_of(codec.decode_event(body)) == "agent_dreamt"
    body = b'{"type":"unknown_event","of_type":"workflow_approved","id":"1","workflow_id":"w"}'
    assert codec.type_of(codec.decode_event(body)) == "unknown_event"


def test_nul_characters_and_astral_text_come_back_as_they_went() -> None:
    said = Voice("wf").progress("a\0b \U0001f600 \u2028 \\u0000")
    assert codec.decode_event(codec.encode(said)) == said


# The signature


def signed(content: str = "grüße \U0001f600 / <&> \0") -> dict[str, Any]:
    event = signature.sign(Voice("wf").progress(content), KEY)
    return codec.decode_object(codec.encode(event))


@pytest.mark.parametrize(
    "rewrite",
    [
        lambda x: json.dumps(x),
        lambda x: json.dumps(x, indent=3, ensure_ascii=False),
        lambda x: json.dumps(dict(reversed(list(x.items()))), sort_keys=False),
        lambda x: json.dumps(x, sort_keys=True).replace("/", "\\/"),
        lambda x: json.dumps(x, separators=(" ,  ", " :\t")),
    ],
)
def test_a_signature_holds_whatever_a_bus_does_to_the_bytes(rewrite: Any) -> None:
    assert signature.verify(codec.decode_object(rewrite(signed())), KEY)


@settings(max_examples=60, deadline=None)
@given(st.text(), st.data())
def test_a_signature_breaks_with_any_change(content: str, data: st.DataObject) -> None:
    fields = signed(content)
    assert signature.verify(fields, KEY)
    name = data.draw(st.sampled_from(sorted(set(fields) - {"signature"})))
    changed = {**fields, name: data.draw(st.integers(-5, 5) | st.text(max_size=3))}
    removed = {k: v for k, v in fields.items() if k != name}
    assert signature.verify(changed, KEY) == (changed == fields)
    assert not signature.verify(removed, KEY)
    assert not signature.verify({**fields, "more": 1}, KEY)


def test_one_attempt_does_not_speak_for_another() -> None:
    keys = {
        signature.attempt_key(master, workflow_id, epoch)
        for master in (b"one", b"two")
        for workflow_id in ("wf", "wf-2", "wf/1")
        for epoch in (1, 2, 11)
    }
    assert len(keys) == 18
    assert all(not signature.verify(signed(), key) for key in keys - {KEY})


def test_what_cannot_be_signed_the_same_way_twice_is_malformed() -> None:
    for value in (1.5, [{"a": 0.1}], {"a": {"b": -0.0}}):
        with pytest.raises(Malformed):
            signature.verify({**signed(), "more": value}, KEY)


def test_what_is_nested_too_deep_to_be_signed_is_malformed() -> None:
    deep: Any = 1
    for _ in range(5_000):
        deep = [deep]
    with pytest.raises(Malformed):
        signature.verify({**signed(), "more": deep}, KEY)


@pytest.mark.parametrize("claimed", [None, 1, "", "\u2028", "f" * 64, ["x"], {}])
def test_no_signature_and_another_s_signature_are_none(claimed: object) -> None:
    assert not signature.verify({**signed(), "signature": claimed}, KEY)


# Identifiers and hashes


def test_ids_are_derived_the_same_way_for_ever() -> None:
    assert derive_id("cause", "name") == "5b5dae0e-def2-509c-a2a5-afc4cbf82e9b"
    assert derive_id("cause", "name") == derive_id("cause", "name") != derive_id("cause", "other")
    assert derived_workflow_id("team", "1") == derived_workflow_id("team", "1") != derived_workflow_id("other", "1")


@pytest.mark.parametrize("workflow_id", [new_workflow_id(), derived_workflow_id("team", "1")], ids=["new", "derived"])
def test_a_workflow_s_id_is_also_one_of_a_session(workflow_id: str) -> None:
    import re

    assert re.match(WORKFLOW_ID, workflow_id)
    assert 33 <= len(workflow_id) <= 100


def test_a_plan_s_hash_is_of_its_content_and_not_of_its_form() -> None:
    again = msgspec.json.decode(json.dumps(msgspec.to_builtins(PLAN), indent=2), type=type(PLAN))
    assert plan_sha256(again) == plan_sha256(PLAN)
    assert plan_sha256(msgspec.structs.replace(PLAN, test_command="pytest")) != plan_sha256(PLAN)


def test_every_event_belongs_to_exactly_one_producer() -> None:
    assert len(EVENT_TYPES) == len(set(EVENT_TYPES)) == len(codec.KNOWN_EVENTS)
    assert CONTROL_TYPES
