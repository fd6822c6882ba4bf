"""The Litestar application: routes, what they depend on, and how errors look."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from importlib.metadata import version
from importlib.util import find_spec
from os import PathLike
from pathlib import Path

from litestar import Litestar, Router
from litestar.datastructures import State
from litestar.di import Provide
from litestar.exceptions import HTTPException
from litestar.openapi import OpenAPIConfig
from litestar.openapi.plugins import JsonRenderPlugin, SwaggerRenderPlugin
from litestar.openapi.spec import Components, SecurityScheme
from litestar.static_files import create_static_files_router

from amelia.domain.crowd import Limits
from amelia.errors import AmeliaError
from amelia.ports.agents import ObjectStore
from amelia.ports.journal import Journal
from amelia.trackers.submitted import FullIssues, IssueReader

from . import auth, fleet_stream, health, problems, queue, stream
from .broadcaster import Broadcaster
from .controlling import Controlling
from .deciding import Deciding
from .depends import Caller
from .lessons import Lessons
from .letters import Letters
from .reading import Reading
from .workflows import Workflows

_PREFIX = "/api/v1"
_PAGE_FILES = f"{_PREFIX}/schema/files"


def create_app(
    journal: Journal,
    objects: ObjectStore,
    *,
    token: str,
    caller: Caller,
    allow_file: bool,
    max_body_bytes: int,
    limits: Limits,
    issues: IssueReader | None = None,
) -> Litestar:
    """Without ``issues`` they have to be submitted in full."""
    broadcaster = Broadcaster(journal)

    @asynccontextmanager
    async def broadcasting(_: Litestar) -> AsyncIterator[None]:
        task = asyncio.create_task(broadcaster.run())
        try:
            yield
        finally:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)

    def always(value: object) -> Provide:
        return Provide(lambda: value, sync_to_thread=False)

    streams = [stream.watch, stream.events, fleet_stream.watch, fleet_stream.events]
    controllers = [Workflows, Reading, Deciding, Controlling, Letters, Lessons]
    routes = Router(_PREFIX, route_handlers=[*controllers, queue.waiting, *streams, health.live, health.ready])
    return Litestar(
        route_handlers=[routes, *_page_files()],
        dependencies={
            "journal": always(journal),
            "objects": always(objects),
            "broadcaster": always(broadcaster),
            "caller": always(caller),
            "allow_file": always(allow_file),
            "limits": always(limits),
            "issues": always(issues or FullIssues()),
        },
        middleware=[auth.TokenMiddleware(token)],
        exception_handlers={
            AmeliaError: problems.of_ours,
            HTTPException: problems.of_the_framework,
            RecursionError: problems.nested_too_deep,
            Exception: problems.unexpected,
        },
        lifespan=[broadcasting],
        state=State({"broadcaster": broadcaster}),
        openapi_config=openapi(),
        request_max_body_size=max_body_bytes,
        logging_config=None,
    )


def openapi() -> OpenAPIConfig:
    page = SwaggerRenderPlugin(
        js_url=f"{_PAGE_FILES}/swagger-ui-bundle.js",
        css_url=f"{_PAGE_FILES}/swagger-ui.css",
        standalone_preset_js_url=f"{_PAGE_FILES}/swagger-ui-standalone-preset.js",
        path="/",
        favicon=f"<link rel='icon' type='image/png' href='{_PAGE_FILES}/favicon-32x32.png'>",
    )
    return OpenAPIConfig(
        title="Amelia",
        version=version("amelia"),
        path=f"{_PREFIX}/schema",
        render_plugins=[page, JsonRenderPlugin(path="/openapi.json")],
        components=Components(
            security_schemes={"token": SecurityScheme(type="http", scheme="bearer", description=auth.HOW)}
        ),
        security=[{"token": []}],
        use_handler_docstrings=True,
    )


def _page_files() -> list[Router]:
    """The page's script and style come from an installed package, not from the network."""
    package = find_spec("swagger_ui")
    assert package is not None, "swagger-ui-py is a dependency of amelia-api"
    folders: list[PathLike[str] | str] = [
        Path(folder) / "static" for folder in package.submodule_search_locations or ()
    ]
    return [create_static_files_router(path=_PAGE_FILES, directories=folders, include_in_schema=False)]
