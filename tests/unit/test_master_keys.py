"""The master secret when Secrets Manager answers with something else."""

import asyncio
import json
from typing import Any

import pytest
from botocore.exceptions import ClientError

from amelia.adapters.aws import keys
from amelia.adapters.aws.keys import MasterKeys
from amelia.errors import Unavailable

DENIED = ClientError({"Error": {"Code": "AccessDeniedException", "Message": "no"}}, "GetSecretValue")
GOOD = json.dumps({"current": 2, "keys": {"1": "aa" * 32, "2": "bb" * 32}})
NEWER = json.dumps({"current": 3, "keys": {"2": "bb" * 32, "3": "cc" * 32}})
UNUSABLE: dict[str, dict[str, str] | Exception] = {
    "denied": DENIED,
    "missing": ClientError({"Error": {"Code": "ResourceNotFoundException", "Message": "no"}}, "GetSecretValue"),
    "no connection": OSError("no route to host"),
    "no text": {"SecretBinary": "AA=="},
    "no JSON": {"SecretString": "feedface"},
    "no object": {"SecretString": "[]"},
    "no versions": {"SecretString": json.dumps({"current": 1, "keys": {"one": "aa" * 32}})},
    "no hexadecimal": {"SecretString": json.dumps({"current": 1, "keys": {"1": "feedface-x"}})},
    "an old one that is none": {"SecretString": json.dumps({"current": 2, "keys": {"1": "x", "2": "feedface"}})},
    "an empty key": {"SecretString": json.dumps({"current": 1, "keys": {"1": ""}})},
    "no current": {"SecretString": json.dumps({"current": 2, "keys": {"1": "feedface"}})},
}


class Secrets:
    """Answers with each of ``answers``, and then with the last one for ever."""

    def __init__(self, *answers: dict[str, str] | Exception) -> None:
        self.answers = list(answers)
        self.asked = 0

    async def get_secret_value(self, **_: Any) -> dict[str, str]:
        self.asked += 1
        await asyncio.sleep(0)
        answer = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
        if isinstance(answer, Exception):
            raise answer
        return answer


@pytest.mark.parametrize("answer", UNUSABLE.values(), ids=UNUSABLE)
async def test_a_secret_that_cannot_be_used_is_asked_for_later(answer: dict[str, str] | Exception) -> None:
    secrets = Secrets(answer, answer, {"SecretString": GOOD})
    masters = MasterKeys(secrets, "master")
    for ask in (masters.all, masters.current):
        with pytest.raises(Unavailable, match="the secret master cannot be used") as failed:
            await ask()
        assert "feedface" not in str(failed.value)
    assert await masters.current() == (2, b"\xbb" * 32)
    assert secrets.asked == 3


@pytest.mark.parametrize("answer", UNUSABLE.values(), ids=UNUSABLE)
async def test_what_was_read_before_serves_while_the_secret_cannot_be_used(
    answer: dict[str, str] | Exception, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(keys, "_FRESH_SECONDS", -1.0)
    secrets = Secrets({"SecretString": GOOD}, answer)
    masters = MasterKeys(secrets, "master")
    for _ in range(3):
        assert await masters.all() == [b"\xbb" * 32, b"\xaa" * 32]
    assert await masters.current() == (2, b"\xbb" * 32)
    assert secrets.asked == 4
    assert "cannot be read again" in caplog.text
    assert "feedface" not in caplog.text


async def test_a_secret_that_serves_again_is_taken(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(keys, "_REFRESH_SECONDS", 0.0)
    masters = MasterKeys(Secrets({"SecretString": GOOD}, DENIED, {"SecretString": NEWER}), "master")
    assert (await masters.current())[0] == 2
    assert not await masters.refresh(), "it was not answered"
    assert (await masters.current())[0] == 2
    assert await masters.refresh()
    assert await masters.all() == [b"\xcc" * 32, b"\xbb" * 32]


async def test_a_refresh_directly_after_an_answer_asks_for_nothing() -> None:
    secrets = Secrets({"SecretString": GOOD}, {"SecretString": NEWER})
    masters = MasterKeys(secrets, "master")
    assert await masters.refresh()
    assert [await masters.refresh() for _ in range(5)] == [False] * 5
    assert secrets.asked == 1
    assert (await masters.current())[0] == 2


async def test_a_refresh_that_failed_is_not_repeated_at_once_either(monkeypatch: pytest.MonkeyPatch) -> None:
    secrets = Secrets({"SecretString": GOOD}, DENIED)
    masters = MasterKeys(secrets, "master")
    await masters.all()
    with monkeypatch.context() as patched:
        patched.setattr(keys, "_REFRESH_SECONDS", 0.0)
        assert not await masters.refresh()
    assert not await masters.refresh()
    assert secrets.asked == 2
