"""What an agent passes on to those that will work in the same repository."""

from typing import Annotated, Literal

import msgspec
from msgspec import Meta

from .toolbox import Skill

REMEMBER = "remember"


class Remember(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    topic: Annotated[
        Literal["tests", "build", "layout", "convention"],
        Meta(description="how tests are run; what a build needs; where what is; how things are done here"),
    ]
    text: Annotated[
        str, Meta(min_length=1, max_length=500, description="one fact in a sentence or two, true of the repository")
    ]


async def _remember(_: object, wanted: Remember) -> str:
    return f"noted under {wanted.topic}, for those who come after you"


REMEMBERING = {
    REMEMBER: Skill(
        description="Notes one fact about this repository for agents that will work in it later: how its tests are "
        "run, what a build needs, where what is. Only what took effort to find out and will hold; nothing about this "
        "issue, and nothing that the repository's guides say.",
        arguments=Remember,
        run=_remember,
        brief=lambda a: f"{a.topic}: {a.text}",
    )
}
