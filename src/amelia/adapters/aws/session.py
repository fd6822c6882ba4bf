"""AWS clients as the settings ask for them, and what their errors mean to us."""

from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from typing import Any

import aiohttp
from aiobotocore.config import AioConfig  # type: ignore[import-untyped]
from aiobotocore.session import AioSession  # type: ignore[import-untyped]
from botocore.exceptions import BotoCoreError, ClientError, HTTPClientError, NoCredentialsError, ParamValidationError
from botocore.loaders import Loader

from ...errors import AmeliaError, NotFound, Refused, Unavailable
from ...settings import Settings

AGENTCORE = "bedrock-agentcore"

_PATIENCE_STATUS = frozenset({402, 408, 409, 424, 429})
_PATIENCE_CODES = ("Throttl", "TooManyRequests", "LimitExceeded", "SlowDown", "Unavailable", "Internal", "ExpiredToken")
_MISSING_CODES = frozenset({"404", "NoSuchKey", "NoSuchBucket", "QueueDoesNotExist"})

LOADER = Loader(include_default_search_paths=True)
"""Keeps what it has read of the services' descriptions."""


def load_model(*services: str) -> None:
    """Reads the services' descriptions from the installed package, so that processes forked later need not."""
    for service in services:
        for kind in ("service-2", "endpoint-rule-set-1"):
            LOADER.load_service_model(service, kind)
    for name in ("endpoints", "partitions", "sdk-default-configuration", "_retry"):
        LOADER.load_data(name)


def client_arguments(service: str, settings: Settings) -> dict[str, Any]:
    """For ``create_client`` of aiobotocore and ``client`` of boto3 alike.

    An emulator gets credentials of its own, so that real ones are neither needed there nor sent there.
    """
    endpoint = settings.agentcore_endpoint_url if service == AGENTCORE else settings.aws_endpoint_url
    arguments: dict[str, Any] = {"region_name": settings.aws_region}
    if endpoint:
        arguments |= {"endpoint_url": endpoint, "aws_access_key_id": "test", "aws_secret_access_key": "test"}
    return arguments


def client_options(service: str, settings: Settings) -> dict[str, Any]:
    """For botocore's ``Config``. Invocations and events are sent once by the library: their callers own the retries."""
    attempts = 1 if service in (AGENTCORE, "events") else 4
    options: dict[str, Any] = {
        "connect_timeout": 5,
        "read_timeout": 30,
        "max_pool_connections": 64,
        "retries": {"mode": "standard", "total_max_attempts": attempts},
    }
    if service == "s3":
        options |= {"request_checksum_calculation": "when_required", "response_checksum_validation": "when_required"}
        if settings.aws_endpoint_url:
            options["s3"] = {"addressing_style": "path"}
    return options


@asynccontextmanager
async def open_client(service: str, settings: Settings) -> AsyncIterator[Any]:
    """A client of ``sqs``, ``events``, ``s3``, ``secretsmanager`` or ``bedrock-agentcore``; share it, it pools."""
    session = AioSession()
    session.register_component("data_loader", LOADER)
    config = AioConfig(**client_options(service, settings))
    async with session.create_client(service, config=config, **client_arguments(service, settings)) as client:
        yield client


@contextmanager
def translated(doing: str) -> Iterator[None]:
    """Turns what AWS and the way there raise into ours; ``doing`` begins the sentence, as in ``storing an object``.

    ``Unavailable`` for what may pass (throttled, 5xx, 402, 409, 424, no connection), ``NotFound`` for 404, ``Refused``
    for the rest. ``origin`` finds the code and the status behind the error.
    """
    try:
        yield
    except (ClientError, BotoCoreError, aiohttp.ClientError, OSError) as error:
        raise translate(error, doing) from error


def translate(error: Exception, doing: str) -> AmeliaError:
    code, status = _read(error)
    if not isinstance(error, ClientError):
        if isinstance(error, ParamValidationError):
            return Refused(f"{doing}: {_line(error)}")
        way_out = "; give the process AWS credentials" if isinstance(error, NoCredentialsError) else "; try again later"
        return Unavailable(f"{doing}: {_line(error)}{way_out}")
    said = f"{doing}: AWS answered {status} {code}: {_line(error.response.get('Error', {}).get('Message', ''))}"
    if status >= 500 or status in _PATIENCE_STATUS or any(part in code for part in _PATIENCE_CODES):
        return Unavailable(f"{said}; try again later")
    if status == 404 or code in _MISSING_CODES or code.endswith(("NotFound", "NotFoundException", "NonExistentQueue")):
        return NotFound(f"{said}; check the name and the region")
    return Refused(f"{said}; check the request and the permissions")


def origin(error: BaseException) -> tuple[str, int]:
    """The AWS error code and HTTP status behind a translated error; empty and 0 when AWS did not answer."""
    return _read(error.__cause__) if isinstance(error, AmeliaError) else _read(error)


def maybe_arrived(error: BaseException) -> bool:
    """True when the request may have been carried out although no answer came: a timeout or a cut connection."""
    cause = error.__cause__ if isinstance(error, AmeliaError) else error
    if isinstance(cause, ClientError):
        return _read(cause)[1] in (424, 500, 502, 503, 504)
    if isinstance(cause, HTTPClientError | BotoCoreError):
        return type(cause).__name__ not in ("EndpointConnectionError", "ConnectTimeoutError", "NoCredentialsError")
    return not isinstance(cause, ConnectionRefusedError | aiohttp.ClientConnectorError)


def _read(error: BaseException | None) -> tuple[str, int]:
    if not isinstance(error, ClientError):
        return "", 0
    code = error.response.get("Error", {}).get("Code", "")
    return str(code), int(error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0))


def _line(said: object) -> str:
    return " ".join(str(said).split())[:300].rstrip(".")
