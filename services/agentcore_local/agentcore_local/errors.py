"""The errors of the data plane, as they go over the wire.

ApiError                     status and AWS error type, in `x-amzn-errortype`
├── Invalid                  400 ValidationException
├── Unauthorized             401 UnauthorizedException
├── Forbidden                403 AccessDeniedException
├── NotFound                 404 ResourceNotFoundException
├── Conflict                 409 RetryableConflictException
├── ContainerFailed          424 RuntimeClientError
├── TooMany                  429 ThrottlingException, or ThrottledException of Memory
└── QuotaExceeded            402 ServiceQuotaExceededException
StartError                   the server cannot start; the text goes to its operator
"""

from typing import Literal

Plane = Literal["runtime", "memory", "identity"]

_TYPES: dict[int, str] = {
    402: "ServiceQuotaExceededException",
    409: "RetryableConflictException",
    424: "RuntimeClientError",
    429: "ThrottlingException",
    500: "InternalServerException",
    503: "ServiceUnavailableException",
    504: "GatewayTimeoutException",
}
_MEMORY_TYPES: dict[int, str] = {429: "ThrottledException", 500: "ServiceException"}


class ApiError(Exception):
    def __init__(self, status: int, type_: str, message: str, *, reason: str | None = None) -> None:
        super().__init__(message)
        self.status = status
        self.type = type_
        self.message = message
        self.reason = reason


class Invalid(ApiError):
    """`reason` is one of ValidationExceptionReason in the service model."""

    def __init__(self, message: str, *, reason: str = "FieldValidationFailed") -> None:
        super().__init__(400, "ValidationException", message, reason=reason)


class Unauthorized(ApiError):
    def __init__(self, message: str) -> None:
        super().__init__(401, "UnauthorizedException", message)


class Forbidden(ApiError):
    def __init__(self, message: str) -> None:
        super().__init__(403, "AccessDeniedException", message)


class NotFound(ApiError):
    def __init__(self, message: str) -> None:
        super().__init__(404, "ResourceNotFoundException", message)


class Conflict(ApiError):
    def __init__(self, message: str) -> None:
        super().__init__(409, "RetryableConflictException", message)


class ContainerFailed(ApiError):
    def __init__(self, message: str) -> None:
        super().__init__(424, "RuntimeClientError", message)


class TooMany(ApiError):
    def __init__(self, message: str, *, plane: Plane = "runtime") -> None:
        super().__init__(429, type_of(429, plane), message)


class QuotaExceeded(ApiError):
    def __init__(self, message: str) -> None:
        super().__init__(402, "ServiceQuotaExceededException", message)


class StartError(Exception):
    pass


def type_of(status: int, plane: Plane) -> str:
    """The AWS error type a plane gives with a status; 503 and 504 are in no service model."""
    if plane == "memory" and status in _MEMORY_TYPES:
        return _MEMORY_TYPES[status]
    return _TYPES[status]
