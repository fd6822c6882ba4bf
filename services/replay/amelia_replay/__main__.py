"""The command ``amelia-replay``."""

import argparse
import logging
import socket
import sys
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

import uvicorn

from amelia.errors import AmeliaError, Refused
from amelia_replay.app import create_app
from amelia_replay.reading import File, read

USAGE_ERROR = 2


def main(arguments: Sequence[str] | None = None) -> int:
    options = _options(arguments)
    try:
        files = [read(path) for path in options.conversation]
        if options.check:
            print(f"{', '.join(file.name for file in files)}: no mistakes found")
            return 0
        listening = _listen(options.host, options.port)
    except AmeliaError as error:
        print(f"amelia-replay: {error}", file=sys.stderr)
        return USAGE_ERROR
    serve(files, listening)
    return 0


def serve(files: Sequence[File], listening: socket.socket) -> None:
    """Until the process is asked to stop (SIGINT, SIGTERM). Prints the address once it is ready."""
    config = uvicorn.Config(
        create_app(files),
        log_level="warning",
        access_log=False,
        lifespan="off",
        timeout_graceful_shutdown=2,
    )
    logging.getLogger("uvicorn.error").addFilter(_says_more_than_cut)
    with suppress(KeyboardInterrupt):
        _Announced(config).run(sockets=[listening])


class _Announced(uvicorn.Server):
    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        for host, port, *_ in (listening.getsockname() for listening in sockets or ()):
            print(f"amelia-replay listens on http://{host}:{port}", flush=True)


def _says_more_than_cut(record: logging.LogRecord) -> bool:
    """A connection that was cut on purpose is no news."""
    return "without completing response" not in record.getMessage()


def _listen(host: str, port: int) -> socket.socket:
    try:
        return socket.create_server((host, port), backlog=1024)
    except (OSError, OverflowError) as error:
        raise Refused(f"cannot listen on {host}:{port} ({error}); give another --port, 0 for any free one") from error


def _options(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="amelia-replay",
        description="Play conversation files over the Anthropic, OpenAI and Bedrock wire protocols.",
    )
    parser.add_argument("--conversation", action="append", required=True, type=Path, metavar="FILE.yaml")
    parser.add_argument("--host", default="127.0.0.1", help="address to listen on (default: %(default)s)")
    parser.add_argument("--port", type=int, default=8430, help="0 takes any free one (default: %(default)s)")
    parser.add_argument("--check", action="store_true", help="only look for mistakes in the files")
    return parser.parse_args(arguments)


if __name__ == "__main__":
    sys.exit(main())
