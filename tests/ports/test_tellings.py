"""What the tracker is told is recorded with what it tells, or not at all."""

import msgspec
import pytest

from amelia.adapters.memory.journal import MemoryJournal
from amelia.contract import commands as c
from amelia.contract.workflow import Profile
from amelia.domain.telling import Telling
from amelia.errors import Conflict
from amelia.ports.journal import Journal

from ..conftest import Opener
from ..samples import order, start


@pytest.fixture(params=["postgres", "memory"])
async def journal(request: pytest.FixtureRequest, open_journal: Opener) -> Journal:
    return MemoryJournal() if request.param == "memory" else await open_journal()


async def waiting(journal: Journal) -> list[Telling]:
    due = await journal.due(10, 5, "tracker")
    await journal.unsent([row.id for row in due], 0)
    found = [msgspec.json.decode(row.body, type=Telling) for row in due]
    assert [(row.id, row.workflow_id) for row in due] == [(one.id, one.workflow_id) for one in found]
    return found


async def test_an_end_is_recorded_with_its_telling_once(journal: Journal) -> None:
    begun = start(profile=Profile(tracker="github"))
    await journal.execute(begun)
    assert await waiting(journal) == []
    cancel = order(c.CancelWorkflow, begun.workflow_id)
    for _ in range(2):
        await journal.execute(cancel)
    [told] = await waiting(journal)
    assert (told.moment, told.status, told.issue) == ("completion", "cancelled", "PROJ-123")
    with pytest.raises(Conflict):
        await journal.execute(order(c.ApproveWorkflow, begun.workflow_id))
    assert await waiting(journal) == [told]
    await journal.settle([told.id])
    assert await waiting(journal) == []
