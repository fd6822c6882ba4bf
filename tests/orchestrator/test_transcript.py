"""A transcript that was cut off while it was written."""

from pathlib import Path

from amelia.adapters.local.objects import FolderObjects
from amelia.drivers.base import Label, Message, Text
from amelia.orchestrator.agents.record import Shelf
from amelia.orchestrator.agents.transcript import Transcript

LABEL = Label(workflow_id="wf-1", issue="X-1", agent="architect")


async def test_a_transcript_cut_off_while_it_was_written_is_left_aside_for_the_one_before_it(tmp_path: Path) -> None:
    objects = FolderObjects(tmp_path)
    said = Transcript(messages=(Message(role="user", parts=(Text("hello"),)),))
    for epoch in (1, 2):
        await Shelf(objects, "wf-1", LABEL, 1, epoch).write(said)
    [cut] = tmp_path.rglob("2.json")
    cut.write_bytes(cut.read_bytes()[:20])
    assert await Shelf(objects, "wf-1", LABEL, 1, 3).newest() == said
