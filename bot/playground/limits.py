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
    ValidationInfo,
    field_validator,
    model_validator,
)

from bot.playground.components import CustomId, Select, TextInput, component_type
from bot.playground.forms import Body, fault
from bot.playground.layouts import TopLevel, check

if TYPE_CHECKING:
    from bot.playground.errors import Json

COMPONENTS_V2 = 1 << 15
EPHEMERAL = 1 << 6
LOADING = 1 << 7
_EMBEDS_TOGETHER = 6000

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


def _in_label(component: Any) -> str:
    return "<text>" if component_type(component) == TextInput.TYPE else "<select>"


InLabel = Annotated[
    Annotated[TextInput, Tag("<text>")] | Annotated[Select, Tag("<select>")],
    Discriminator(_in_label),
]


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
    return {10: "<paragraph>", 18: "<label>"}.get(component_type(component), "<row>")


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
    flags: int | None = None
    components: Annotated[list[TopLevel], Field(max_length=40)] | None = None
    tts: bool = False
    nonce: Annotated[str, StringConstraints(max_length=25)] | int | None = None
    enforce_nonce: bool | None = None
    allowed_mentions: AllowedMentions | None = None
    attachments: Annotated[list[AttachmentBody], Field(max_length=10)] | None = None
    message_reference: Reference | None = None
    poll: None = None

    @field_validator("embeds")
    @classmethod
    def _together(cls, embeds: list[Embed] | None) -> list[Embed] | None:
        if sum(embed.size for embed in embeds or []) > _EMBEDS_TOGETHER:
            raise fault("MAX_EMBED_SIZE_EXCEEDED", "Embed size exceeds maximum size of 6000")
        return embeds

    @field_validator("components")
    @classmethod
    def _laid_out(
        cls, components: list[TopLevel] | None, info: ValidationInfo
    ) -> list[TopLevel] | None:
        check(components or [], layout=bool((info.data.get("flags") or 0) & COMPONENTS_V2))
        return components

    @model_validator(mode="after")
    def _nothing_else(self) -> Self:
        if (self.flags or 0) & COMPONENTS_V2 and (self.content or self.embeds):
            raise fault(
                "MESSAGE_CANNOT_USE_LEGACY_FIELDS_WITH_COMPONENTS_V2",
                "A layout has no content and no embeds",
            )
        return self
