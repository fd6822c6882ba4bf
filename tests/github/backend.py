"""git's own ``http-backend`` behind aiohttp."""

import asyncio
import os
from pathlib import Path

from aiohttp import web


async def serve(request: web.Request, projects: Path, path: str, user: str) -> web.Response:
    environ = {
        "PATH": os.environ["PATH"],
        "GIT_PROJECT_ROOT": str(projects),
        "GIT_HTTP_EXPORT_ALL": "1",
        "GIT_CONFIG_NOSYSTEM": "1",
        "GIT_CONFIG_GLOBAL": "/dev/null",
        "REQUEST_METHOD": request.method,
        "PATH_INFO": path,
        "QUERY_STRING": request.query_string,
        "CONTENT_TYPE": request.headers.get("Content-Type", ""),
        "GIT_PROTOCOL": request.headers.get("Git-Protocol", ""),
        "REMOTE_USER": user,
        "REMOTE_ADDR": "127.0.0.1",
    }
    body = await request.read()
    child = await asyncio.create_subprocess_exec(
        *("git", "http-backend"),
        env=environ | {"CONTENT_LENGTH": str(len(body))},
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.DEVNULL,
    )
    try:
        output, _ = await child.communicate(body)
    finally:
        if child.returncode is None:
            child.kill()
            await child.wait()
    head, _, content = output.partition(b"\r\n\r\n")
    lines = [line.split(": ", 1) for line in head.decode().split("\r\n") if ": " in line]
    headers = {name: value for name, value in lines if name not in ("Status", "Content-Length")}
    status = next((int(value.split()[0]) for name, value in lines if name == "Status"), 200)
    return web.Response(status=status, headers=headers, body=content)
