"""Runs a command beside a LocalStack of its own: ``localstack.py VENV -- COMMAND …``, on loopback, ended afterwards.

The command finds it in AMELIA_TEST_AWS_ENDPOINT_URL. Exits with the command's code.
"""

import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
from http.client import HTTPConnection, HTTPException
from pathlib import Path

_START_SECONDS = 120


def main(arguments: list[str]) -> int:
    venv, command = Path(arguments[0]).absolute(), arguments[2:]
    port = _free_port()
    with tempfile.TemporaryDirectory(prefix="localstack-") as folder:
        log = Path(folder) / "log"
        with log.open("wb") as output:
            server = subprocess.Popen(  # noqa: S603 - LocalStack
                [venv / "bin" / "python", "-m", "localstack.runtime.main"],
                env=os.environ | _environ(venv, port, folder),
                stdout=output,
                stderr=output,
                start_new_session=True,
            )
        try:
            _wait(server, port, log)
            print(f"LocalStack on 127.0.0.1:{port}", flush=True)
            environ = {**os.environ, "AMELIA_TEST_AWS_ENDPOINT_URL": f"http://127.0.0.1:{port}"}
            return subprocess.run(command, env=environ, check=False).returncode  # noqa: S603 - the caller's
        finally:
            _stop(server)


def _environ(venv: Path, port: int, folder: str) -> dict[str, str]:
    return {
        "PATH": f"{venv / 'bin'}:{os.environ.get('PATH', '')}",
        "GATEWAY_LISTEN": f"127.0.0.1:{port}",
        "GATEWAY_SERVER": "hypercorn",
        "SERVICES": "sqs,events,s3,secretsmanager,sts",
        "SKIP_SSL_CERT_DOWNLOAD": "1",
        "DISABLE_EVENTS": "1",
        "DNS_ADDRESS": "0",
        "LOCALSTACK_VOLUME_DIR": folder,
        "FILESYSTEM_ROOT": folder,
        "TMPDIR": folder,
    }


def _wait(server: "subprocess.Popen[bytes]", port: int, log: Path) -> None:
    deadline = time.monotonic() + _START_SECONDS
    while not _answers(port):
        if server.poll() is not None or time.monotonic() > deadline:
            sys.exit(f"LocalStack did not start; the end of its log:\n{log.read_text(errors='replace')[-3000:]}")
        time.sleep(0.2)


def _answers(port: int) -> bool:
    connection = HTTPConnection("127.0.0.1", port, timeout=2)
    try:
        connection.request("GET", "/_localstack/health")
        return connection.getresponse().status == 200
    except (OSError, HTTPException):
        return False
    finally:
        connection.close()


def _stop(server: "subprocess.Popen[bytes]") -> None:
    for number, patience in ((signal.SIGTERM, 15), (signal.SIGKILL, 5)):
        try:
            os.killpg(server.pid, number)
            server.wait(patience)
        except ProcessLookupError:
            return
        except subprocess.TimeoutExpired:
            continue


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
