"""Hears one agent's model out, or the next of its choices when that one stays away."""

import asyncio
from collections.abc import Callable

from msgspec.structs import replace

from ...drivers.base import Label, Request, TextDelta, Turn
from ...drivers.cast import Choice
from ...errors import Refused, Unavailable
from ...tools.toolbox import one_line
from ..live import Stopped
from ..site import Site
from .voice import Voice


class Ear:
    """Whoever answered last is asked first, as long as this conversation goes on here."""

    def __init__(self, site: Site, label: Label, voice: Voice) -> None:
        self._site = site
        self._label = label
        self._voice = voice
        self._choices = site.cast.of(label.agent)

    @property
    def model(self) -> str:
        """Of whoever is asked next."""
        return self._choices[0].model

    async def hear(self, request: Request, check: Callable[[Request], None]) -> Turn:
        """``check`` sees each request before it is sent, under the name of the model that gets it. The turn is paid
        for when this returns.

        Raises ``Unavailable`` when nobody answers, ``Refused`` when the chosen model will never take the request.
        """
        first, *others = self._choices
        try:
            return await self._ask(first, request, check)
        except Unavailable as away:
            for other in others:
                self._say(f"{first.model} stays away ({away}); {other.model} is asked in its place.")
                turn = await self._instead(other, request, check, away)
                self._choices = (other, *(choice for choice in self._choices if choice is not other))
                return turn
            raise

    async def _instead(
        self, other: Choice, request: Request, check: Callable[[Request], None], away: Unavailable
    ) -> Turn:
        """A fallback that cannot be asked is no reason to give up what the chosen model may still do."""
        try:
            return await self._ask(other, request, check)
        except (Refused, Unavailable) as error:
            raise Unavailable(f"{away}; nor does the fallback {other.model} answer: {error}") from error
        except Stopped as error:
            raise Unavailable(f"{away}; and the budget has no room for the fallback {other.model}") from error

    async def _ask(self, choice: Choice, request: Request, check: Callable[[Request], None]) -> Turn:
        request = replace(request, model=choice.model)
        check(request)
        turn = await self._listen(choice, request)
        self._site.pay(turn.usage, self._label, choice.model)
        return turn

    async def _listen(self, choice: Choice, request: Request) -> Turn:
        silence, clock = self._site.limits.silence, asyncio.get_running_loop().time
        whole: Turn | None = None
        with self._voice.answer():
            try:
                async with asyncio.timeout(silence) as patience:
                    async for piece in choice.driver.stream(request):
                        patience.reschedule(clock() + silence)
                        match piece:
                            case TextDelta(text, anew):
                                if anew:
                                    self._voice.forget()
                                self._voice.hear(text)
                            case Turn():
                                whole = piece
            except TimeoutError as error:
                raise Unavailable(f"the model has said nothing for {silence:.0f} s; try again") from error
            if whole is None:
                raise Unavailable("the model's answer ended before its turn was whole; try again")
        return whole

    def _say(self, text: str) -> None:
        self._voice.say(one_line(text, 1_000))
