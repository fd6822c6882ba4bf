"""The AWS emulator: ``ministack`` in this process, on loopback, provisioned whenever it comes up.

``python -m amelia.adapters.local.emulator --state-dir DIR --port PORT``, with the ``AMELIA_*`` settings of the fleet.
What it holds is written when it stops; killed, it comes back with what it had before, or with nothing.
"""

import argparse
import asyncio
import contextlib
import os
import signal
import sys
from pathlib import Path

from amelia.adapters.local.child import Program
from amelia.adapters.local.hangups import noticing
from amelia.adapters.local.state import LOOPBACK, StateDirectory

_SERVICES = "sqs,events,s3,secretsmanager,sts,cognito-idp"


def url(port: int) -> str:
    return f"http://{LOOPBACK}:{port}"


def program(state: StateDirectory, port: int, environ: dict[str, str]) -> Program:
    """``environ``: the fleet's settings, by which it provisions itself."""
    module = ["-m", "amelia.adapters.local.emulator", "--state-dir", str(state.root), "--port", str(port)]
    state.ready_file("emulator").unlink(missing_ok=True)
    return Program(
        name="emulator",
        stage="carriers",
        orphan_signal="TERM",
        argv=[sys.executable, *module],
        environ=environ,
        only=["PATH", "HOME", "LANG", *environ],
        port=port,
    )


def _environ(state: StateDirectory, port: int) -> dict[str, str]:
    """What ministack reads when it is imported. Its other listeners stay shut, and Docker alone."""
    return {
        "GATEWAY_PORT": str(port),
        "SERVICES": _SERVICES,
        "PERSIST_STATE": "1",
        "STATE_DIR": str(state.emulator / "state"),
        "S3_PERSIST": "1",
        "S3_DATA_DIR": str(state.emulator / "s3"),
        "LOG_LEVEL": "WARNING",
        "SFTP_ENABLED": "0",
        "IOT_MTLS_ENABLED": "0",
        "DOCKER_HOST": f"unix://{state.run}/no-docker",
    }


async def _serve(state: StateDirectory, port: int) -> None:
    from hypercorn.asyncio import serve
    from hypercorn.config import Config
    from ministack.app import app  # type: ignore[import-untyped]

    config = Config()
    config.bind = [f"{LOOPBACK}:{port}"]
    config.keep_alive_timeout = 75
    config.graceful_timeout = 0.2
    config.loglevel = "WARNING"
    stopping = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stopping.set)
    provisioning = asyncio.create_task(_provision(state))
    await serve(noticing(app), config, shutdown_trigger=stopping.wait)
    provisioning.cancel()
    state.ready_file("emulator").unlink(missing_ok=True)


async def _provision(state: StateDirectory) -> None:
    """In a process of its own, since its libraries would double this one; repeated until it succeeds."""
    module = ["-m", "amelia.adapters.aws.provision", "--secret-file", str(state.master_secret_file)]
    while True:
        child = await asyncio.create_subprocess_exec(sys.executable, *module)
        try:
            if await child.wait() == 0:
                state.ready_file("emulator").write_text(str(os.getpid()))
                return
        finally:
            with contextlib.suppress(ProcessLookupError):
                child.kill()
        await asyncio.sleep(0.5)


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m amelia.adapters.local.emulator", description=__doc__)
    parser.add_argument("--state-dir", type=Path, required=True)
    parser.add_argument("--port", type=int, required=True)
    options = parser.parse_args()
    state = StateDirectory.open(options.state_dir)
    state.ready_file("emulator").unlink(missing_ok=True)
    os.environ.setdefault("AMELIA_AWS_ENDPOINT_URL", url(options.port))
    os.environ.update(_environ(state, options.port))
    asyncio.run(_serve(state, options.port))


if __name__ == "__main__":
    main()
