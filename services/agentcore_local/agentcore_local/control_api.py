"""The server's own endpoints: `/_health`, `/_sessions` and `/_faults`."""

from agentcore_local.events import parse
from agentcore_local.faults import FaultPlan, Injector
from agentcore_local.nursery import Nursery
from agentcore_local.sessions import Sessions
from agentcore_local.wire import Reply, Request, json_reply


class ControlApi:
    def __init__(self, sessions: Sessions, nursery: Nursery | None, faults: Injector) -> None:
        self._sessions = sessions
        self._nursery = nursery
        self._faults = faults

    async def get_health(self, request: Request) -> Reply:
        zygote = self._nursery.pid if self._nursery else None
        status = "ok" if zygote or not self._nursery else "starting"
        return json_reply({"status": status, "zygote": zygote, "sessions": len(self._sessions.all())})

    async def get_sessions(self, request: Request) -> Reply:
        return json_reply({"sessions": [session.view() for session in self._sessions.all()]})

    async def get_faults(self, request: Request) -> Reply:
        return json_reply({"seed": self._faults.plan.seed, "rules": self._faults.report()})

    async def put_faults(self, request: Request) -> Reply:
        """Replaces the rules; an empty list ends all faults."""
        self._faults.install(parse(request.body, FaultPlan))
        return await self.get_faults(request)
