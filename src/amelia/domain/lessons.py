"""What workflows have learnt about a repository, for those to come."""

import re
from collections.abc import Sequence
from datetime import datetime

import msgspec

from ..contract import events as e
from ..contract.ids import derive_id
from ..contract.invocation import Lesson
from .workflow import Workflow

MOST = 50
"""Kept of one repository; the ones that were learnt longest ago go."""
_USER = re.compile(r"^https://[^/@]*@")


class KeptLesson(msgspec.Struct, frozen=True, kw_only=True):
    """``learnt_at`` is when it was learnt last, by the workflow ``workflow_id``."""

    id: str
    team: str
    repository: str
    topic: str
    text: str
    workflow_id: str
    learnt_at: datetime


class Learnt(msgspec.Struct, frozen=True, kw_only=True):
    """A lesson that is to be kept. The same of one repository has the same id, whoever learnt it."""

    id: str
    team: str
    repository: str
    topic: str
    text: str
    workflow_id: str


def learnt(w: Workflow, event: e.LessonLearnt) -> Learnt:
    repository, text = plain(w.repository), " ".join(event.text.split())
    return Learnt(
        id=derive_id(f"lesson/{w.team}/{repository}", f"{event.topic}/{text}"),
        team=w.team,
        repository=repository,
        topic=event.topic,
        text=text,
        workflow_id=w.id,
    )


def plain(repository: str) -> str:
    """The address under which a repository's lessons are kept, however it was written."""
    return _USER.sub("https://", repository.rstrip("/")).removesuffix(".git")


def told(kept: Sequence[KeptLesson]) -> tuple[Lesson, ...]:
    """As an invocation carries them."""
    return tuple(Lesson(topic=one.topic, text=one.text) for one in kept)
