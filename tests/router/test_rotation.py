"""A master key that is newer than those the router has read."""

import json
from collections.abc import Sequence

import msgspec

from amelia.adapters.postgres.journal import PostgresJournal
from amelia.contract import events as e
from amelia_router.route import Router

from ..samples import Voice, started, stream, the
from .test_read import MASTER, enveloped, message

NEWER = b"master of tomorrow"


class RotatedKeys:
    """Knows ``MASTER`` until it is refreshed, and then what ``found`` says."""

    def __init__(self, *found: bytes) -> None:
        self._known: Sequence[bytes] = (MASTER,)
        self._found = found
        self.refreshes = 0
        self.looks = True

    async def current(self) -> tuple[int, bytes]:
        return len(self._known), self._known[0]

    async def all(self) -> Sequence[bytes]:
        return self._known

    async def refresh(self) -> bool:
        self.refreshes += 1
        if self.looks:
            self._known = self._found
        return self.looks


async def test_an_event_signed_with_a_newer_key_is_accepted_after_a_refresh(journal: PostgresJournal) -> None:
    row = await started(journal)
    voice, keys = Voice(row.workflow.id), RotatedKeys(NEWER, MASTER)
    bodies = [enveloped(voice.fact(e.WorkflowStarted)), enveloped(voice.progress(), NEWER)]
    verdicts = await Router(journal, keys).handle([message(body, number) for number, body in enumerate(bodies)])
    assert [verdict.kind for verdict in verdicts] == ["done", "done"]
    kinds = [type(event) for _, event in await stream(journal, row.workflow.id)]
    assert kinds[2:] == [e.WorkflowStarted, e.AgentMessage]
    assert keys.refreshes == 1


async def test_one_that_no_refresh_makes_known_is_a_dead_letter_and_the_rest_is_accepted(
    journal: PostgresJournal,
) -> None:
    row = await started(journal)
    voice, keys = Voice(row.workflow.id), RotatedKeys(MASTER)
    bodies = [enveloped(voice.fact(e.WorkflowStarted)), enveloped(voice.progress(), NEWER)]
    verdicts = await Router(journal, keys).handle([message(body, number) for number, body in enumerate(bodies)])
    assert [verdict.kind for verdict in verdicts] == ["done", "dead"]
    assert "is not that attempt's" in verdicts[1].reason
    assert (await the(journal, row.workflow.id)).workflow.phase == "planning"
    assert keys.refreshes == 1


async def test_what_is_signed_with_a_known_key_or_is_no_event_refreshes_nothing(journal: PostgresJournal) -> None:
    row = await started(journal)
    keys = RotatedKeys(NEWER)
    bodies = [json.dumps(enveloped(Voice(row.workflow.id).progress())), "{", "[]", '{"detail": {}}']
    verdicts = await Router(journal, keys).handle([message(body, number) for number, body in enumerate(bodies)])
    assert [verdict.kind for verdict in verdicts] == ["done", "dead", "dead", "dead"]
    assert keys.refreshes == 0


async def test_within_seconds_of_a_rotation_an_event_is_tried_again_rather_than_given_up(
    journal: PostgresJournal,
) -> None:
    """The secret was read a moment ago, and is not asked for again so soon."""
    row = await started(journal)
    voice, keys = Voice(row.workflow.id), RotatedKeys(NEWER, MASTER)
    keys.looks = False
    body = enveloped(voice.progress(), NEWER)
    router = Router(journal, keys)
    assert [x.kind for x in await router.handle([message(body)])] == ["again"]
    keys.looks = True
    assert [x.kind for x in await router.handle([message(body)])] == ["done"]


async def test_a_forged_event_is_not_tried_for_ever_where_nobody_can_look(journal: PostgresJournal) -> None:
    row = await started(journal)
    keys = RotatedKeys(MASTER)
    keys.looks = False
    body = message(enveloped(Voice(row.workflow.id).progress(), NEWER))
    old = msgspec.structs.replace(body, receives=10)
    assert [x.kind for x in await Router(journal, keys).handle([body, old])] == ["again", "dead"]
