"""What a workflow has kept, as its events tell it."""

from collections.abc import Iterable

from ..contract.events import ArtifactStored
from ..contract.views import ArtifactView


def newest_of_each_name(stored: Iterable[ArtifactStored]) -> dict[str, ArtifactStored]:
    """In the order in which they came last."""
    found: dict[str, ArtifactStored] = {}
    for event in stored:
        found.pop(event.name, None)
        found[event.name] = event
    return found


def artifact_view(event: ArtifactStored) -> ArtifactView:
    return ArtifactView(
        name=event.name,
        media_type=event.media_type,
        size=event.claim.size,
        sha256=event.claim.sha256,
        stored_at=event.timestamp,
    )
