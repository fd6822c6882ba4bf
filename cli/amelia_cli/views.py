"""Showing events as they come: live on a terminal, in lines elsewhere, as JSON for programs, or not at all."""

import sys
import time
from types import TracebackType
from typing import TYPE_CHECKING, Protocol

import click
import msgspec

from amelia.contract.codec import encode

from .describe import Narrator, is_progress
from .printing import clean, coloured, duration
from .seen import Seen, advance

if TYPE_CHECKING:
    from rich.console import RenderableType
    from rich.live import Live
    from rich.text import Text

    from amelia.contract.events import AnyEvent

_MARKS = {"waiting": "·", "working": "▸", "completed": "✓", "failed": "✗", "skipped": "–"}


class View(Protocol):
    """A context in which events are shown. ``pause`` clears the screen for a question; ``note`` says something beside
    the events, to people."""

    def __enter__(self) -> "View": ...
    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None: ...
    def show(self, sequence: int, event: "AnyEvent") -> None: ...
    def unknown(self, sequence: int, kind: str, raw: bytes) -> None: ...
    def note(self, said: str) -> None: ...
    def pause(self) -> None: ...
    def resume(self) -> None: ...


class Silent:
    """Shows no event."""

    def __enter__(self) -> "View":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        pass

    def show(self, sequence: int, event: "AnyEvent") -> None:
        pass

    def unknown(self, sequence: int, kind: str, raw: bytes) -> None:
        pass

    def note(self, said: str) -> None:
        click.echo(said, err=True)

    def pause(self) -> None:
        pass

    def resume(self) -> None:
        pass


class JsonLines(Silent):
    """Each event as the stream sends it: the envelope with its ``sequence``."""

    def show(self, sequence: int, event: "AnyEvent") -> None:
        click.echo(encode(event)[:-1].decode() + f',"sequence":{sequence}}}')

    def unknown(self, sequence: int, kind: str, raw: bytes) -> None:
        click.echo(msgspec.json.encode(msgspec.json.decode(raw)).decode())


class Lines(Silent):
    """One line an event: its UTC time, its sequence, what it says."""

    def __init__(self) -> None:
        self._narrator = Narrator()

    def show(self, sequence: int, event: "AnyEvent") -> None:
        click.echo(f"{event.timestamp[11:19] or '--:--:--'} {sequence:>4}  {self._narrator.tell(event)}")

    def unknown(self, sequence: int, kind: str, raw: bytes) -> None:
        click.echo(f"--:--:-- {sequence:>4}  {clean(kind)}")


class LiveView(Silent):
    """The facts scroll by above a picture of the state: tasks, who is at work, last words, cost, time. Each time it is
    begun the picture is a new one: an old one would erase as many lines as it once had, whatever they are now."""

    def __init__(self) -> None:
        from rich.console import Console

        self.seen = Seen()
        self._narrator = Narrator()
        self._began = time.monotonic()
        self._console = Console(color_system="auto" if coloured() else None, highlight=False, markup=False, emoji=False)
        self._live: Live | None = None

    def __enter__(self) -> View:
        self.resume()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.pause()

    def show(self, sequence: int, event: "AnyEvent") -> None:
        self.seen = advance(self.seen, event)
        if not is_progress(event):
            self._console.print(f"{event.timestamp[11:19] or '--:--:--'}  {self._narrator.tell(event)}")

    def unknown(self, sequence: int, kind: str, raw: bytes) -> None:
        self._console.print(f"--:--:--  {clean(kind)}")

    def note(self, said: str) -> None:
        self._console.print(said)

    def pause(self) -> None:
        if self._live is not None:
            self._live.stop()
            self._live = None

    def resume(self) -> None:
        from rich.live import Live

        self._live = Live(console=self._console, get_renderable=self._picture, refresh_per_second=8, transient=True)
        self._live.start()

    def _picture(self) -> "RenderableType":
        from rich.spinner import Spinner
        from rich.table import Table
        from rich.text import Text

        seen, width = self.seen, self._console.width
        picture = Table.grid(padding=(0, 1))
        voices = {voice.task or voice.agent: voice for voice in seen.voices.values()}
        for id_, step in seen.steps.items():
            style = {"working": "cyan", "completed": "green", "failed": "red"}.get(step.status, "dim")
            picture.add_row(Text(_MARKS.get(step.status, "·"), style), Text(clean(step.title), style))
            if (voice := voices.pop(id_, None)) and voice.words and step.status == "working":
                picture.add_row("", _words(voice.words, width))
        elapsed = duration(time.monotonic() - self._began)
        attempt = f", attempt {seen.attempt}" if seen.attempt > 1 else ""
        state = f"{seen.phase}{attempt}, {elapsed}, ${seen.cost_microdollars / 1_000_000:.4f}"
        picture.add_row(Spinner("dots"), Text(state, "bold"))
        for voice in voices.values():
            who = f"{voice.agent} ({voice.task})" if voice.task else voice.agent
            picture.add_row("", _words(f"{who}: {voice.words}", width))
        if seen.words and not seen.voices:
            picture.add_row("", _words(seen.words, width))
        return picture


def _words(said: str, width: int) -> "Text":
    """As much of its end as fits on one line."""
    from rich.text import Text

    return Text(clean(said).strip()[-max(20, width - 4) :], "dim", overflow="ellipsis", no_wrap=True)


def view(output: str, *, silent: bool = False) -> View:
    """The one that suits: JSON when asked for, live on a terminal, else lines."""
    if silent:
        return Silent()
    if output == "json":
        return JsonLines()
    return LiveView() if sys.stdout.isatty() else Lines()
