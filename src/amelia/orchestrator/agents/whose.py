"""Whose turn it is."""

from ...drivers.base import Label
from ..site import Site
from ..state import Work


def label_of(site: Site, work: Work) -> Label | None:
    """Of the conversation that the next step holds; None when it holds none."""
    match work.step:
        case "plan":
            return site.label("architect", round=work.round)
        case "develop":
            return site.label("developer", work.task, work.round)
        case "review":
            return site.label("reviewer", round=work.round)
        case _:
            return None
