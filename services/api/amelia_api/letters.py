"""Dead letters over HTTP: what consumers gave up, looked at, sent again or given up for good."""

from typing import Annotated, Literal

from litestar import Controller, get, post
from litestar.params import FromPath, QueryParameter

from amelia.contract.views import DeadLetterPage, DeadLetterState, DeadLetterView
from amelia.errors import NotFound, Refused
from amelia.ports.journal import DeadLetter

from .depends import Journal, TheCaller
from .present import cursor, letter_view, read_cursor
from .problems import answers

_MOST = 200


class Letters(Controller):
    path = "/dead-letters"
    tags = ("dead letters",)

    @get(responses=answers(400, 401, 422, 503))
    async def index(
        self,
        journal: Journal,
        of_state: Annotated[DeadLetterState | Literal[""], QueryParameter(name="state", required=False)] = "",
        limit: Annotated[int, QueryParameter(ge=1, le=_MOST)] = 50,
        after: Annotated[str, QueryParameter(name="cursor", required=False)] = "",
    ) -> DeadLetterPage:
        """Newest first, without their bodies."""
        letters = await journal.dead_letters(state=of_state, before=read_cursor(after), limit=limit + 1)
        shown = letters[:limit]
        following = cursor(shown[-1].last_at, shown[-1].id) if len(letters) > limit else ""
        return DeadLetterPage(items=tuple(map(letter_view, shown)), next=following)

    @get("/{letter_id:str}", responses=answers(400, 401, 404, 503))
    async def show(self, letter_id: FromPath[str], journal: Journal) -> DeadLetterView:
        """With its body, as the consumer received it."""
        letter = await journal.dead_letter(letter_id)
        if letter is None:
            raise NotFound(f"there is no dead letter {letter_id}; amelia dead-letters list shows those there are")
        return letter_view(letter)

    @post("/{letter_id:str}/redrive", status_code=200, responses=answers(400, 401, 404, 409, 503))
    async def redrive(self, letter_id: FromPath[str], journal: Journal, caller: TheCaller) -> DeadLetterView:
        """Sends the body to its queue again, as it was: the message keeps its id, so that it cannot count twice."""
        [answered] = await journal.redrive([letter_id], caller.name)
        return _answer(answered)

    @post("/{letter_id:str}/discard", status_code=200, responses=answers(400, 401, 404, 409, 503))
    async def discard(self, letter_id: FromPath[str], journal: Journal, caller: TheCaller) -> DeadLetterView:
        """Gives it up for good; it stays listed as discarded."""
        [answered] = await journal.discard([letter_id], caller.name)
        return _answer(answered)


def _answer(answered: DeadLetter | Refused) -> DeadLetterView:
    if isinstance(answered, Refused):
        raise answered
    return letter_view(answered)
