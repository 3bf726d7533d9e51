"""The application's commands: what may be registered, and what a member may fill in."""

from __future__ import annotations

from enum import IntEnum
from typing import TYPE_CHECKING, Annotated, Any, Literal, Self

from pydantic import Field, StringConstraints, TypeAdapter, ValidationError, model_validator

from bot.playground.components import Text100  # noqa: TC001  # pydantic reads it at run time
from bot.playground.errors import ApiError, Json
from bot.playground.forms import Body, fault, invalid_form
from bot.playground.world import APPLICATION_ID, Permission

if TYPE_CHECKING:
    from collections.abc import Callable

    from bot.playground.snowflakes import Snowflakes
    from bot.playground.world import Member

NAME = r"^[-_'\w]{1,32}$"
_COMMAND_SIZE = 8000
_AT_MOST = {1: 100, 2: 15, 3: 15}
"""Commands of each kind: chat input, user, message."""


class OptionType(IntEnum):
    """Discord's types of options."""

    SUB_COMMAND = 1
    SUB_COMMAND_GROUP = 2
    STRING = 3
    INTEGER = 4
    BOOLEAN = 5
    USER = 6
    CHANNEL = 7
    ROLE = 8
    MENTIONABLE = 9
    NUMBER = 10
    ATTACHMENT = 11


_NESTED = (OptionType.SUB_COMMAND, OptionType.SUB_COMMAND_GROUP)
_CHOOSABLE = (OptionType.STRING, OptionType.INTEGER, OptionType.NUMBER)

Localizations = dict[str, str] | None


class Choice(Body):
    """One of the fixed values of an option."""

    name: Text100
    value: Annotated[str, StringConstraints(max_length=100)] | int | float
    name_localizations: Localizations = None


class Option(Body):
    """An option of a command, or a subcommand, or a group of those."""

    type: OptionType
    name: Annotated[str, StringConstraints(pattern=NAME)]
    description: Text100
    name_localizations: Localizations = None
    description_localizations: Localizations = None
    required: bool = False
    choices: tuple[Choice, ...] = Field(default=(), max_length=25)
    options: tuple[Option, ...] = Field(default=(), max_length=25)
    channel_types: tuple[int, ...] = ()
    min_value: int | float | None = None
    max_value: int | float | None = None
    min_length: Annotated[int, Field(ge=0, le=6000)] | None = None
    max_length: Annotated[int, Field(ge=1, le=6000)] | None = None
    autocomplete: bool = False

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        if self.name != self.name.lower():
            raise fault("STRING_TYPE_REGEX", "String value did not match validation regex.")
        if (self.choices or self.autocomplete) and self.type not in _CHOOSABLE:
            raise fault("BASE_TYPE_BAD_TYPE", "Only strings and numbers have choices")
        if self.choices and self.autocomplete:
            raise fault(
                "APPLICATION_COMMAND_OPTIONS_CHOICES_AUTOCOMPLETE",
                "An option has choices or autocomplete, not both",
            )
        if self.options and self.type not in _NESTED:
            raise fault("BASE_TYPE_BAD_TYPE", "Only subcommands and groups have options")
        if self.type is OptionType.SUB_COMMAND and any(o.type in _NESTED for o in self.options):
            raise fault("BASE_TYPE_CHOICES", "A subcommand holds no subcommands")
        only_subcommands = all(o.type is OptionType.SUB_COMMAND for o in self.options)
        if self.type is OptionType.SUB_COMMAND_GROUP and not only_subcommands:
            raise fault("BASE_TYPE_CHOICES", "A group holds only subcommands")
        check_order(self.options)
        return self


class Command(Body):
    """A command as an application registers it."""

    type: Literal[1, 2, 3] = 1
    name: Annotated[str, StringConstraints(min_length=1, max_length=32)]
    description: Annotated[str, StringConstraints(max_length=100)] = ""
    name_localizations: Localizations = None
    description_localizations: Localizations = None
    options: tuple[Option, ...] = Field(default=(), max_length=25)
    default_member_permissions: Annotated[int, Field(ge=0)] | None = None
    dm_permission: bool | None = None
    contexts: list[Literal[0, 1, 2]] | None = None
    integration_types: list[Literal[0, 1]] | None = None
    nsfw: bool = False

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        if self.type == 1:
            _chat_input(self)
        elif self.description or self.options:
            raise fault("BASE_TYPE_BAD_LENGTH", "A context menu has no description or options")
        check_order(self.options)
        nested = [option.type in _NESTED for option in self.options]
        if any(nested) and not all(nested):
            raise fault("BASE_TYPE_CHOICES", "Subcommands and plain options do not mix")
        if _size(self) > _COMMAND_SIZE:
            raise fault("APPLICATION_COMMAND_TOO_LARGE", "Command exceeds maximum size (8000)")
        return self

    def payload(self, command_id: int, version: int) -> Json:
        """The command as Discord sends it back."""
        options = [option.model_dump(mode="json", exclude_defaults=True) for option in self.options]
        permissions = self.default_member_permissions
        payload: Json = {
            "id": str(command_id),
            "application_id": str(APPLICATION_ID),
            "version": str(version),
            "type": self.type,
            "name": self.name,
            "name_localizations": self.name_localizations,
            "description": self.description,
            "description_localizations": self.description_localizations,
            "default_member_permissions": None if permissions is None else str(permissions),
            "dm_permission": self.dm_permission is not False,
            "contexts": self.contexts,
            "integration_types": self.integration_types or [0],
            "nsfw": self.nsfw,
        }
        return payload | ({"options": options} if options else {})


def _chat_input(command: Command) -> None:
    TypeAdapter(Annotated[str, StringConstraints(pattern=NAME)]).validate_python(command.name)
    if command.name != command.name.lower():
        raise fault("APPLICATION_COMMAND_INVALID_NAME", "Command name is invalid")
    if not command.description:
        raise fault("BASE_TYPE_REQUIRED", "A slash command needs a description")


def check_order(options: tuple[Option, ...]) -> None:
    """Required options come first, and every name once."""
    required = [option.required for option in options]
    if required != sorted(required, reverse=True):
        raise fault(
            "APPLICATION_COMMAND_OPTIONS_REQUIRED_INVALID",
            "Required options must be placed before non-required options",
        )
    if len({option.name for option in options}) != len(options):
        raise fault("APPLICATION_COMMAND_OPTIONS_NAME_ALREADY_EXISTS", "Option name already exists")


def _size(part: Command | Option) -> int:
    size = len(part.name) + len(part.description)
    if isinstance(part, Option):
        size += sum(len(choice.name) + len(str(choice.value)) for choice in part.choices)
    return size + sum(_size(option) for option in part.options)


class Commands:
    """What the application registered, for every guild."""

    def __init__(self, snowflakes: Snowflakes) -> None:
        self._snowflakes = snowflakes
        self._registered: list[Json] = []
        self.listeners: list[Callable[[], None]] = []

    def registered(self) -> list[Json]:
        """Everything, as Discord sends it."""
        return self._registered

    def shown_to(self, member: Member) -> list[Json]:
        """What Discord offers this member in the guild's channels."""
        return [
            command
            for command in self._registered
            if may_use(member, command) and 0 in (command["contexts"] or [0])
        ]

    def overwrite(self, bodies: Any) -> list[Json]:
        """Replace every command.

        Raises:
            ApiError: one of them is wrong; then none is replaced.
        """
        try:
            commands = TypeAdapter(list[Command]).validate_python(bodies)
        except ValidationError as error:
            raise invalid_form(error) from None
        names = [(command.type, command.name) for command in commands]
        if len(set(names)) != len(names):
            code = "APPLICATION_COMMANDS_DUPLICATE_NAME"
            raise ApiError.invalid_form([((), code, "Application command names must be unique")])
        if any(sum(kind == t for t, _ in names) > most for kind, most in _AT_MOST.items()):
            raise ApiError(400, 30032, "Maximum number of application commands reached (100)")
        # A command keeps its id as long as its kind and name stay the same.
        ids = {(old["type"], old["name"]): int(old["id"]) for old in self._registered}
        self._registered = [
            command.payload(
                ids.get((command.type, command.name)) or self._snowflakes.next(),
                self._snowflakes.next(),
            )
            for command in commands
        ]
        for listener in self.listeners:
            listener()
        return self._registered

    def restore(self, commands: list[Json]) -> None:
        """Bring back what an earlier run had."""
        for command in commands:
            self._snowflakes.seen(int(command["id"]))
        self._registered = commands


def may_use(member: Member, command: Json) -> bool:
    """Whether the command's default permissions let the member use it; "0" is administrators'."""
    needed = command["default_member_permissions"]
    if needed is None:
        return True
    return member.may(int(needed) or Permission.ADMINISTRATOR)
