"""The messages between the server and the zygote, one JSON object a line."""

import msgspec


class Order(msgspec.Struct, frozen=True, kw_only=True):
    """Start a session's process. `environment` is added to the zygote's own."""

    id: int
    directory: str
    log: str
    environment: dict[str, str]


class Ready(msgspec.Struct, frozen=True, kw_only=True, tag=True):
    """The runtime's app is imported; `threads` counts what its import started, which a fork does not copy."""

    seconds: float
    threads: int


class Broken(msgspec.Struct, frozen=True, kw_only=True, tag=True):
    """The runtime's app cannot be imported."""

    reason: str


class Born(msgspec.Struct, frozen=True, kw_only=True, tag=True):
    """The process exists and its port accepts connections."""

    id: int
    pid: int
    port: int


class Stillborn(msgspec.Struct, frozen=True, kw_only=True, tag=True):
    id: int
    reason: str


Report = Ready | Broken | Born | Stillborn
