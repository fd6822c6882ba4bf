"""Whose turns it is."""

from ...drivers.base import Label
from ..site import Site
from ..state import REVIEW_ROUND, Work
from .reviewer import focuses


def conversations(site: Site, work: Work) -> tuple[tuple[Label, int], ...]:
    """Those that the next step holds, each with the first attempt that may have held it."""
    match work.step:
        case "plan":
            return ((site.label("architect", round=work.round), work.begun),)
        case "develop" if work.task == REVIEW_ROUND:
            return ((site.label("developer", work.task, work.round), work.begun),)
        case "develop":
            return tuple(
                (site.label("developer", going.name(task), going.round), going.begun)
                for task, going in work.active.items()
            )
        case "review":
            names = focuses(site.job.profile)
            return tuple((site.label("reviewer", focus, work.round), work.begun) for focus in names)
        case _:
            return ()
