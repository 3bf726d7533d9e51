"""Reading a request's body: pydantic models, and Discord's words for what is wrong with one."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeVar

from pydantic import BaseModel, ConfigDict, ValidationError
from pydantic_core import PydanticCustomError

from bot.playground.errors import ApiError

if TYPE_CHECKING:
    from pydantic_core import ErrorDetails


def fault(code: str, message: str) -> PydanticCustomError:
    """A fault with Discord's own code, for use inside validators."""
    return PydanticCustomError(code, "{text}", {"text": message})


class Body(BaseModel):
    """Part of a request; unknown keys are ignored, as Discord does."""

    model_config = ConfigDict(extra="ignore", frozen=True)


M = TypeVar("M", bound=BaseModel)


def read(model: type[M], body: Any) -> M:
    """Validate a body.

    Raises:
        ApiError: code 50035 naming every wrong field, in Discord's shape.
    """
    try:
        return model.model_validate(body)
    except ValidationError as error:
        raise invalid_form(error) from None


def invalid_form(error: ValidationError, prefix: tuple[str | int, ...] = ()) -> ApiError:
    """Pydantic's complaints as Discord's `Invalid Form Body`."""
    return ApiError.invalid_form(
        [(prefix + _path(one["loc"]), *_code(one)) for one in error.errors()]
    )


def _path(location: tuple[str | int, ...]) -> tuple[str | int, ...]:
    return tuple(step for step in location if not str(step).startswith("<"))


_WORDING = {
    "missing": ("BASE_TYPE_REQUIRED", "This field is required"),
    "string_too_long": ("BASE_TYPE_MAX_LENGTH", "Must be {max_length} or fewer in length."),
    "too_long": ("BASE_TYPE_MAX_LENGTH", "Must be {max_length} or fewer in length."),
    "string_too_short": ("BASE_TYPE_MIN_LENGTH", "Must be {min_length} or more in length."),
    "too_short": ("BASE_TYPE_MIN_LENGTH", "Must be {min_length} or more in length."),
    "literal_error": ("BASE_TYPE_CHOICES", "Value must be one of {{{expected}}}."),
    "enum": ("BASE_TYPE_CHOICES", "Value must be one of {{{expected}}}."),
    "string_pattern_mismatch": (
        "STRING_TYPE_REGEX",
        "String value did not match validation regex.",
    ),
    "greater_than_equal": ("NUMBER_TYPE_MIN", "Value should be {ge} or more."),
    "less_than_equal": ("NUMBER_TYPE_MAX", "Value should be {le} or less."),
}
"""Pydantic's types of errors in Discord's codes and words."""


def _code(error: ErrorDetails) -> tuple[str, str]:
    kind = error["type"]
    if kind.isupper():
        return kind, error["msg"]  # one of our own, see `fault`
    code, wording = _WORDING.get(kind, ("BASE_TYPE_BAD_TYPE", error["msg"].replace("{", "{{")))
    return code, wording.format(**error.get("ctx", {}))
