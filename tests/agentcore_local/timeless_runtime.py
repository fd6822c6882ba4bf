"""A runtime whose /ping is always busy and never says since when."""

import os

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.routing import Route


async def invocations(request: Request) -> JSONResponse:
    return JSONResponse({"pid": os.getpid()})


async def ping(request: Request) -> JSONResponse:
    return JSONResponse({"status": "HealthyBusy"})


app = Starlette(routes=[Route("/invocations", invocations, methods=["POST"]), Route("/ping", ping)])
