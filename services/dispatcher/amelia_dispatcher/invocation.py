"""What an invocation carries, made from the row as it is now."""

import asyncio
from typing import Literal

from amelia.contract.invocation import Invocation
from amelia.contract.signature import attempt_key
from amelia.domain.lessons import told
from amelia.domain.workflow import Workflow, left
from amelia.errors import NotStarted, Unavailable
from amelia.ports.forge import Credentials
from amelia.ports.journal import Journal
from amelia.ports.queues import Keys
from amelia.settings import Settings

Purpose = Literal["work", "ask"]

_CREDENTIAL_SECONDS = 5.0
"""The lease of the attempt that needs it runs already."""


class Invocations:
    def __init__(self, keys: Keys, credentials: Credentials, settings: Settings, journal: Journal) -> None:
        self._keys = keys
        self._credentials = credentials
        self._settings = settings
        self._journal = journal

    async def key_version(self) -> int:
        """Of the master secret that new attempts use."""
        return (await self._keys.current())[0]

    async def of(self, w: Workflow, command_id: str, purpose: Purpose) -> Invocation:
        """With what was learnt about the repository before. Raises ``NotStarted`` without a credential to clone with,
        and ``Refused`` when there will be none."""
        version, master = await self._keys.current()
        return Invocation(
            command_id=command_id,
            workflow_id=w.id,
            epoch=w.epoch,
            signing_key=attempt_key(master, w.id, w.epoch).hex(),
            key_version=version,
            highest_fact=w.fact,
            highest_ordinal=w.ordinal,
            issue=w.issue,
            repository=w.repository,
            branch=w.branch,
            base=w.base,
            profile=w.profile,
            decision=w.decision,
            purpose=purpose,
            generation=w.generation,
            retries=w.retries,
            left=left(w),
            spent=w.spent,
            messages=w.messages,
            lessons=told(await self._journal.lessons(w.team, w.repository)) if purpose == "work" else (),
            clone_token=await self._clone_token(w.repository) if purpose == "work" else "",
            session_seconds=self._settings.session_seconds,
            correlation_id=w.correlation_id,
            traceparent=w.traceparent,
            heartbeat_seconds=max(1, round(self._settings.heartbeat_seconds)),
        )

    async def _clone_token(self, repository: str) -> str:
        try:
            async with asyncio.timeout(_CREDENTIAL_SECONDS):
                return await self._credentials.read(repository)
        except (Unavailable, TimeoutError) as error:
            said = str(error) or f"no answer within {_CREDENTIAL_SECONDS:.0f} s"
            raise NotStarted(f"there is no credential to clone with yet: {said}") from error
