"""Pings a session and says when it has to end."""

import asyncio
import contextlib

import h11
import msgspec

from agentcore_local.exchange import Exchange
from agentcore_local.session import Ping, Session
from agentcore_local.settings import Settings

_PING_SECONDS = 5.0
_SHORTEST_NAP = 0.01


async def watch(session: Session, settings: Settings) -> str | None:
    """Returns the reason to end the session, or None when it has ended by itself."""
    exchange: Exchange | None = None
    try:
        while True:
            nap = min(
                settings.ping_interval,
                settings.idle_timeout - session.idle,
                settings.max_lifetime - session.age,
            )
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(session.exited.wait(), max(nap, _SHORTEST_NAP))
                return None
            if session.age >= settings.max_lifetime:
                return f"it reached its lifetime of {settings.max_lifetime:g} s"
            exchange = await _ping(session, exchange)
            if session.idle >= settings.idle_timeout:
                return f"it was idle for {settings.idle_timeout:g} s"
    finally:
        if exchange:
            exchange.close()


async def _ping(session: Session, exchange: Exchange | None) -> Exchange | None:
    """Notes the answer; returns the connection if it can be used again."""
    try:
        async with asyncio.timeout(_PING_SECONDS):
            exchange = exchange or await Exchange.open(session.port)
            await exchange.send("GET", "/ping", (), b"")
            status, _ = await exchange.head()
            body = await exchange.text()
            exchange.next()
        session.note(msgspec.json.decode(body, type=Ping) if status == 200 else None)
        return exchange
    except (OSError, TimeoutError, h11.ProtocolError, msgspec.DecodeError):
        session.note(None)
        if exchange:
            exchange.close()
        return None
