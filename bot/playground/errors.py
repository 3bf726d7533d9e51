"""Discord's error answers: a status, a code, a message, and where in the body the fault lies."""

from __future__ import annotations

import math
from enum import Enum
from typing import Any

Json = dict[str, Any]
"""A JSON object as it travels: Discord's own shapes are the interface here."""


class PlaygroundError(Exception):
    """The playground cannot open; the message says why and what to do."""


class Fault(Enum):
    """What Discord refuses without naming a field: (status, code, message)."""

    NOT_FOUND = (404, 0, "404: Not Found")
    UNAUTHORIZED = (401, 0, "401: Unauthorized")
    SERVER = (500, 0, "500: Internal Server Error")
    UNKNOWN_APPLICATION = (404, 10002, "Unknown Application")
    UNKNOWN_CHANNEL = (404, 10003, "Unknown Channel")
    UNKNOWN_MESSAGE = (404, 10008, "Unknown Message")
    UNKNOWN_WEBHOOK = (404, 10015, "Unknown Webhook")
    UNKNOWN_INTERACTION = (404, 10062, "Unknown interaction")
    TOO_LARGE = (413, 40005, "Request entity too large")
    ALREADY_ACKNOWLEDGED = (400, 40060, "Interaction has already been acknowledged.")
    NOT_THE_AUTHOR = (403, 50005, "Cannot edit a message authored by another user")
    EMPTY_MESSAGE = (400, 50006, "Cannot send an empty message")
    MISSING_PERMISSIONS = (403, 50013, "Missing Permissions")
    INVALID_TOKEN = (401, 50027, "Invalid Webhook Token")
    INVALID_JSON = (400, 50109, "The request body contains invalid JSON.")


class ApiError(Exception):
    """A request that Discord would refuse; `payload` is the body of its answer."""

    def __init__(self, status: int, code: int, message: str, errors: Json | None = None) -> None:
        super().__init__(message)
        self.status = status
        self.payload: Json = {"message": message, "code": code}
        if errors is not None:
            self.payload["errors"] = errors

        self.headers: dict[str, str] = {}

    @classmethod
    def of(cls, fault: Fault) -> ApiError:
        """The error for a known fault."""
        return cls(*fault.value)

    @classmethod
    def invalid_form(cls, faults: list[tuple[tuple[str | int, ...], str, str]]) -> ApiError:
        """The error for a body whose fields are wrong.

        Args:
            faults: for each fault its path in the body, its code and its message.
        """
        errors: Json = {}
        for path, code, message in faults:
            place = errors
            for step in path:
                place = place.setdefault(str(step), {})
            place.setdefault("_errors", []).append({"code": code, "message": message})
        return cls(400, 50035, "Invalid Form Body", errors)


class RateLimitedError(ApiError):
    """A request too many; the client is told how long to wait."""

    def __init__(
        self,
        retry_after: float,
        code: int = 0,
        message: str = "You are being rate limited.",
        *,
        everywhere: bool = False,
        headers: dict[str, str] | None = None,
    ) -> None:
        super().__init__(429, code, message)
        self.payload |= {"retry_after": retry_after, "global": everywhere}
        self.headers = {
            "Retry-After": str(math.ceil(retry_after)),
            "Via": "1.1 playground",  # without it discord.py takes a 429 for a ban
        } | (headers or {})
