"""Checkpoints in AgentCore Memory: a session for the workflow, and in it an actor for each attempt."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import TYPE_CHECKING

from ..adapters.aws.session import AGENTCORE, LOADER, client_arguments, client_options, translated
from ..settings import Settings

if TYPE_CHECKING:
    from langgraph.checkpoint.base import BaseCheckpointSaver

    from .fenced import FencedSaver

ATTEMPTS = 5
"""Memory takes ten events a second of an actor and session; botocore waits up to 20 s between two attempts, and sends
the same client token again, so that nothing is stored twice."""


class AgentCoreMemory:
    """Implements ``memory.base.Memory``."""

    def __init__(self, settings: Settings, *, attempts: int = ATTEMPTS) -> None:
        self._settings = settings
        self._attempts = attempts

    def checkpoints(self, workflow_id: str, epoch: int) -> "AbstractAsyncContextManager[BaseCheckpointSaver[str]]":
        return self._open(epoch)

    @asynccontextmanager
    async def _open(self, epoch: int) -> "AsyncIterator[BaseCheckpointSaver[str]]":
        saver = await asyncio.to_thread(_saver, self._settings, epoch, self._attempts)
        try:
            yield saver
        finally:
            saver.checkpoint_event_client.client.close()


def _saver(settings: Settings, epoch: int, attempts: int) -> "FencedSaver":
    import boto3
    import botocore.session
    from botocore.config import Config
    from langgraph.checkpoint.serde.jsonplus import JsonPlusSerializer

    from .fenced import FencedSaver

    if boto3.DEFAULT_SESSION is None:
        session = botocore.session.get_session()
        session.register_component("data_loader", LOADER)
        boto3.setup_default_session(botocore_session=session)
    retries = {"retries": {"mode": "standard", "total_max_attempts": attempts}}
    with translated("opening the memory"):
        return FencedSaver(
            settings.memory_id,
            epoch=epoch,
            serde=JsonPlusSerializer(allowed_msgpack_modules=None),
            config=Config(**(client_options(AGENTCORE, settings) | retries)),
            **client_arguments(AGENTCORE, settings),
        )
