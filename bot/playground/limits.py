"""What Discord accepts in a message or a modal, as pydantic models.

The numbers are those of Discord's documentation (message object, embed limits, components).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any, Literal, Self

from pydantic import (
    Discriminator,
    Field,
    StringConstraints,
    Tag,
    field_validator,
    model_validator,
)

from bot.playground.forms import Body, fault

if TYPE_CHECKING:
    from collections.abc import Iterator

    from bot.playground.errors import Json

COMPONENTS_V2 = 1 << 15
EPHEMERAL = 1 << 6
LOADING = 1 << 7
_EMBEDS_TOGETHER = 6000

CustomId = Annotated[str, StringConstraints(min_length=1, max_length=100)]
Text80 = Annotated[str, StringConstraints(max_length=80)]
Text100 = Annotated[str, StringConstraints(min_length=1, max_length=100)]
Text256 = Annotated[str, StringConstraints(max_length=256)]
Url = Annotated[str, StringConstraints(pattern=r"^(https?|attachment|discord)://\S+$")]


class EmbedFooter(Body):  # noqa: D101  # Discord's embed object, part by part
    text: Annotated[str, StringConstraints(max_length=2048)]
    icon_url: Url | None = None


class EmbedAuthor(Body):  # noqa: D101
    name: Text256
    url: Url | None = None
    icon_url: Url | None = None


class EmbedField(Body):  # noqa: D101
    name: Annotated[str, StringConstraints(min_length=1, max_length=256)]
    value: Annotated[str, StringConstraints(min_length=1, max_length=1024)]
    inline: bool = False


class EmbedImage(Body):  # noqa: D101
    url: Url


class Embed(Body):
    """A rich embed."""

    title: Text256 | None = None
    description: Annotated[str, StringConstraints(max_length=4096)] | None = None
    url: Url | None = None
    color: Annotated[int, Field(ge=0, le=0xFFFFFF)] | None = None
    timestamp: str | None = None
    footer: EmbedFooter | None = None
    author: EmbedAuthor | None = None
    image: EmbedImage | None = None
    thumbnail: EmbedImage | None = None
    fields: tuple[EmbedField, ...] = Field(default=(), max_length=25)

    @property
    def size(self) -> int:
        """Characters that count towards the limit for all embeds together."""
        texts = [self.title, self.description]
        texts += [self.footer.text] if self.footer else []
        texts += [self.author.name] if self.author else []
        texts += [text for part in self.fields for text in (part.name, part.value)]
        return sum(len(text or "") for text in texts)

    def payload(self) -> Json:
        """The embed as Discord sends it back."""
        return {"type": "rich", **self.model_dump(exclude_none=True, exclude_defaults=True)} | (
            {"fields": [part.model_dump() for part in self.fields]} if self.fields else {}
        )


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


class Select(Body):
    """A select menu of fixed options (3), or of users, roles, both, or channels (5 to 8)."""

    type: Literal[3, 5, 6, 7, 8]
    custom_id: CustomId
    placeholder: Annotated[str, StringConstraints(max_length=150)] | None = None
    min_values: Annotated[int, Field(ge=0, le=25)] = 1
    max_values: Annotated[int, Field(ge=1, le=25)] = 1
    options: tuple[SelectOption, ...] = Field(default=(), max_length=25)
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

    type: Literal[4]
    custom_id: CustomId
    style: Literal[1, 2]
    label: Annotated[str, StringConstraints(min_length=1, max_length=45)] | None = None
    min_length: Annotated[int, Field(ge=0, le=4000)] | None = None
    max_length: Annotated[int, Field(ge=1, le=4000)] | None = None
    required: bool = True
    value: Annotated[str, StringConstraints(max_length=4000)] | None = None
    placeholder: Annotated[str, StringConstraints(max_length=100)] | None = None


def _type(component: Any) -> Any:
    """A component's type, as it came in or as a model."""
    return component.get("type") if isinstance(component, dict) else getattr(component, "type", 0)


def _kind(component: Any) -> str:
    return {2: "<button>", 4: "<text>"}.get(_type(component), "<select>")


# The tags are marks that `forms` leaves out of a path: Discord's paths have only indices.
InMessageRow = Annotated[
    Annotated[Button, Tag("<button>")] | Annotated[Select, Tag("<select>")], Discriminator(_kind)
]
InLabel = Annotated[
    Annotated[TextInput, Tag("<text>")] | Annotated[Select, Tag("<select>")], Discriminator(_kind)
]


class ActionRow(Body):
    """A row under a message: up to five buttons, or one select menu."""

    type: Literal[1]
    components: Annotated[list[InMessageRow], Field(min_length=1, max_length=5)]

    @field_validator("components")
    @classmethod
    def _one_select(cls, components: list[Button | Select]) -> list[Button | Select]:
        if len(components) > 1 and any(isinstance(part, Select) for part in components):
            raise fault("COMPONENT_LAYOUT_WIDTH_EXCEEDED", "A select menu fills its row alone")
        return components


class ModalRow(Body):
    """A row of a modal in the older layout: one text field that carries its label."""

    type: Literal[1]
    components: Annotated[list[TextInput], Field(min_length=1, max_length=1)]


class ModalLabel(Body):
    """A labelled component of a modal."""

    type: Literal[18]
    label: Annotated[str, StringConstraints(min_length=1, max_length=45)]
    description: Annotated[str, StringConstraints(max_length=100)] | None = None
    component: InLabel


class ModalText(Body):
    """A paragraph in a modal."""

    type: Literal[10]
    content: Annotated[str, StringConstraints(min_length=1)]


def _modal_part(component: Any) -> str:
    return {10: "<paragraph>", 18: "<label>"}.get(_type(component), "<row>")


class ModalBody(Body):
    """What opens a modal."""

    custom_id: CustomId
    title: Annotated[str, StringConstraints(min_length=1, max_length=45)]
    components: Annotated[
        list[
            Annotated[
                Annotated[ModalRow, Tag("<row>")]
                | Annotated[ModalLabel, Tag("<label>")]
                | Annotated[ModalText, Tag("<paragraph>")],
                Discriminator(_modal_part),
            ]
        ],
        Field(min_length=1, max_length=5),
    ]


class AllowedMentions(Body):
    """Whom a message may call; absent, everyone it names."""

    parse: list[Literal["users", "roles", "everyone"]] | None = None
    users: Annotated[list[int | str], Field(max_length=100)] | None = None
    replied_user: bool | None = None


class AttachmentBody(Body):
    """A file that comes with a message, or one that stays on an edit."""

    id: int | str
    filename: str | None = None
    description: Annotated[str, StringConstraints(max_length=1024)] | None = None


class Reference(Body):
    """The message that this one replies to."""

    message_id: int | str | None = None


class MessageBody(Body):
    """What creates or edits a message; on an edit only the keys that were sent change."""

    content: Annotated[str, StringConstraints(max_length=2000)] | None = None
    embeds: Annotated[list[Embed], Field(max_length=10)] | None = None
    components: Annotated[list[ActionRow], Field(max_length=5)] | None = None
    flags: int | None = None
    tts: bool = False
    nonce: Annotated[str, StringConstraints(max_length=25)] | int | None = None
    enforce_nonce: bool | None = None
    allowed_mentions: AllowedMentions | None = None
    attachments: Annotated[list[AttachmentBody], Field(max_length=10)] | None = None
    message_reference: Reference | None = None
    poll: None = None

    @field_validator("flags")
    @classmethod
    def _classic(cls, flags: int | None) -> int | None:
        if flags is not None and flags & COMPONENTS_V2:
            raise fault("PLAYGROUND", "The playground does not show components V2")
        return flags

    @field_validator("embeds")
    @classmethod
    def _together(cls, embeds: list[Embed] | None) -> list[Embed] | None:
        if sum(embed.size for embed in embeds or []) > _EMBEDS_TOGETHER:
            raise fault("MAX_EMBED_SIZE_EXCEEDED", "Embed size exceeds maximum size of 6000")
        return embeds

    @field_validator("components")
    @classmethod
    def _distinct(cls, rows: list[ActionRow] | None) -> list[ActionRow] | None:
        ids = [part.custom_id for row in rows or [] for part in row.components if part.custom_id]
        if len(set(ids)) != len(ids):
            raise fault(
                "COMPONENT_CUSTOM_ID_DUPLICATED", "Component custom id cannot be duplicated"
            )
        return rows


def numbered(rows: list[ActionRow]) -> list[Json]:
    """The rows as Discord sends them back: every component with a number of its own."""
    numbers: Iterator[int] = iter(range(1, 100))
    payload = []
    for row in rows:
        number = next(numbers)
        parts = [
            part.model_dump(exclude_none=True) | {"id": next(numbers)} for part in row.components
        ]
        payload.append({"type": 1, "id": number, "components": parts})
    return payload
