"""A program that is run for one answer: in an empty folder, in a session of its own, and killed with all it started."""

import asyncio
import contextlib
import os
import shutil
import signal
import tempfile
from asyncio.subprocess import PIPE, Process
from collections.abc import AsyncIterator, Mapping, Sequence
from pathlib import Path
from types import TracebackType

from amelia.drivers.retries import Interrupted

LONGEST_LINE = 64 * 1024 * 1024
MOST_ERRORS = 64 * 1024
ENDING_SECONDS = 10


class Silent(Exception):
    """It says nothing any more."""


class Program:
    """``files`` are written to its folder by name; ``stdin`` is all that it is told. Raises ``Interrupted`` when it
    cannot be started."""

    def __init__(self, argv: Sequence[str], *, env: Mapping[str, str], files: Mapping[str, str], stdin: bytes) -> None:
        self._argv = argv
        self._env = env
        self._files = files
        self._stdin = stdin
        self._folder = Path()
        self._beside: list[asyncio.Task[None]] = []
        self._errors = bytearray()

    async def __aenter__(self) -> "Program":
        self._folder = await asyncio.to_thread(_folder, self._files)
        try:
            self._process: Process = await asyncio.create_subprocess_exec(
                *self._argv,
                cwd=self._folder,
                env=self._env,
                stdin=PIPE,
                stdout=PIPE,
                stderr=PIPE,
                limit=LONGEST_LINE,
                start_new_session=True,
            )
        except OSError as error:
            await asyncio.to_thread(shutil.rmtree, self._folder, ignore_errors=True)
            raise Interrupted(f"{self._argv[0]} cannot be started: {error}") from error
        self._beside = [asyncio.create_task(self._tell()), asyncio.create_task(self._keep_errors())]
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self._process.pid, signal.SIGKILL)
        for task in self._beside:
            task.cancel()
        await asyncio.gather(*self._beside, return_exceptions=True)
        await self._process.wait()
        await asyncio.to_thread(shutil.rmtree, self._folder, ignore_errors=True)

    async def lines(self, silence: float) -> AsyncIterator[bytes]:
        """Raises ``Silent`` when none comes for ``silence`` seconds."""
        assert self._process.stdout is not None
        while True:
            try:
                line = await asyncio.wait_for(self._process.stdout.readline(), silence)
            except TimeoutError as error:
                raise Silent(f"the program has said nothing for {silence:.0f} s") from error
            except ValueError as error:
                raise Interrupted("the program wrote a line that is too long") from error
            if not line:
                return
            yield line

    async def ended(self) -> tuple[int | None, str]:
        """Its exit code, None when it goes on without a word, and the end of what it wrote as errors."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(ENDING_SECONDS):
                await self._process.wait()
                await asyncio.wait(self._beside)
        return self._process.returncode, self._errors.decode(errors="replace")

    async def _tell(self) -> None:
        assert self._process.stdin is not None
        with contextlib.suppress(BrokenPipeError, ConnectionResetError):
            self._process.stdin.write(self._stdin)
            await self._process.stdin.drain()
        self._process.stdin.close()

    async def _keep_errors(self) -> None:
        assert self._process.stderr is not None
        while piece := await self._process.stderr.read(8_192):
            self._errors += piece
            del self._errors[:-MOST_ERRORS]


def _folder(files: Mapping[str, str]) -> Path:
    folder = Path(tempfile.mkdtemp(prefix="amelia-program-"))
    for name, text in files.items():
        (folder / name).write_text(text, encoding="utf-8")
    return folder
