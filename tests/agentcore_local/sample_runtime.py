"""A runtime that does what the tests want to see."""

import os
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from bedrock_agentcore import BedrockAgentCoreApp
from starlette.responses import JSONResponse

app = BedrockAgentCoreApp()
calls: list[str] = []


@app.entrypoint
def invoke(payload: dict[str, Any], context: Any) -> Any:
    calls.append(payload.get("do", "count"))
    match payload.get("do"):
        case "headers":
            return dict(context.request.headers)
        case "environment":
            return {"pid": os.getpid(), "cwd": str(Path.cwd()), "env": dict(os.environ)}
        case "stream":
            return numbers(payload["count"])
        case "fail":
            return JSONResponse({"error": "on purpose"}, status_code=payload["status"])
        case "die":
            os._exit(3)
        case "busy":
            app.add_async_task("work")
        case "finish":
            for task in list(app._active_tasks):
                app.complete_async_task(task)
        case "sleep":
            time.sleep(payload["seconds"])
        case "spawn":
            child = subprocess.Popen(["sleep", "300"], start_new_session=True)
            return {"pid": os.getpid(), "child": child.pid}
    return {"pid": os.getpid(), "calls": len(calls), "session": context.session_id}


def numbers(count: int) -> Iterator[dict[str, int]]:
    for number in range(count):
        yield {"number": number}
