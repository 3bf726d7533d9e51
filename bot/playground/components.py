"""Buttons, menus and fields, as Discord accepts them in a message or a modal."""

from __future__ import annotations

from typing import Annotated, Any, ClassVar, Literal, Self

from pydantic import (
    BeforeValidator,
    Discriminator,
    Field,
    StringConstraints,
    Tag,
    field_validator,
    model_validator,
)

from bot.playground.forms import Body, fault

CustomId = Annotated[str, StringConstraints(min_length=1, max_length=100)]
Text80 = Annotated[str, StringConstraints(max_length=80)]
Text100 = Annotated[str, StringConstraints(min_length=1, max_length=100)]


class Emoji(Body):
    """A button's or option's emoji: a character, or one of a guild's own."""

    name: str | None = None
    id: int | str | None = None
    animated: bool = False


class Button(Body):
    """A button: styles 1 to 4 report a press, 5 opens a link."""

    type: Literal[2]
    style: Literal[1, 2, 3, 4, 5]
    label: Text80 | None = None
    custom_id: CustomId | None = None
    url: Annotated[str, StringConstraints(max_length=512)] | None = None
    emoji: Emoji | None = None
    disabled: bool = False

    @model_validator(mode="after")
    def _complete(self) -> Self:
        link = self.style == 5  # noqa: PLR2004  # Discord's number for link buttons
        if link and (self.url is None or self.custom_id is not None):
            raise fault("BASE_TYPE_REQUIRED", "A link button has a url and no custom_id")
        if not link and (self.custom_id is None or self.url is not None):
            raise fault("BASE_TYPE_REQUIRED", "A button has a custom_id and no url")
        if not self.label and self.emoji is None:
            raise fault("BASE_TYPE_REQUIRED", "A button needs a label or an emoji")
        return self


class SelectOption(Body):
    """One choice of a select menu."""

    label: Text100
    value: Text100
    description: Annotated[str, StringConstraints(max_length=100)] | None = None
    emoji: Emoji | None = None
    default: bool = False


class DefaultValue(Body):
    """A member, role or channel that a menu shows as chosen."""

    id: Annotated[str, BeforeValidator(str), StringConstraints(pattern=r"^\d{1,20}$")]
    type: Literal["user", "role", "channel"]


class Select(Body):
    """A select menu of fixed options (3), or of users, roles, both, or channels (5 to 8)."""

    type: Literal[3, 5, 6, 7, 8]
    custom_id: CustomId
    placeholder: Annotated[str, StringConstraints(max_length=150)] | None = None
    min_values: Annotated[int, Field(ge=0, le=25)] = 1
    max_values: Annotated[int, Field(ge=1, le=25)] = 1
    options: tuple[SelectOption, ...] = Field(default=(), max_length=25)
    default_values: tuple[DefaultValue, ...] | None = Field(default=None, max_length=25)
    disabled: bool = False

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        values = [option.value for option in self.options]
        if self.type == 3 and not values:  # noqa: PLR2004  # a string select
            raise fault("BASE_TYPE_REQUIRED", "This field is required")
        if len(set(values)) != len(values):
            raise fault(
                "SELECT_COMPONENT_OPTION_VALUE_DUPLICATED",
                "The specified option value is already used",
            )
        if self.min_values > self.max_values:
            raise fault("BASE_TYPE_MIN_VALUE", "min_values is larger than max_values")
        return self


class TextInput(Body):
    """A text field of a modal."""

    TYPE: ClassVar = 4
    type: Literal[4]
    custom_id: CustomId
    style: Literal[1, 2]
    label: Annotated[str, StringConstraints(min_length=1, max_length=45)] | None = None
    min_length: Annotated[int, Field(ge=0, le=4000)] | None = None
    max_length: Annotated[int, Field(ge=1, le=4000)] | None = None
    required: bool = True
    value: Annotated[str, StringConstraints(max_length=4000)] | None = None
    placeholder: Annotated[str, StringConstraints(max_length=100)] | None = None


def component_type(component: Any) -> Any:
    """A component's type, as it came in or as a model."""
    return component.get("type") if isinstance(component, dict) else getattr(component, "type", 0)


def _kind(component: Any) -> str:
    return {2: "<button>"}.get(component_type(component), "<select>")


# The tags are marks that `forms` leaves out of a path: Discord's paths have only indices.
InMessageRow = Annotated[
    Annotated[Button, Tag("<button>")] | Annotated[Select, Tag("<select>")], Discriminator(_kind)
]


class ActionRow(Body):
    """A row under a message: up to five buttons, or one select menu."""

    MOST: ClassVar = 5
    """In a message that is no layout."""
    type: Literal[1]
    components: Annotated[list[InMessageRow], Field(min_length=1, max_length=5)]

    @field_validator("components")
    @classmethod
    def _one_select(cls, components: list[Button | Select]) -> list[Button | Select]:
        if len(components) > 1 and any(isinstance(part, Select) for part in components):
            raise fault("COMPONENT_LAYOUT_WIDTH_EXCEEDED", "A select menu fills its row alone")
        return components
