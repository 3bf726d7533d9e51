"""Messages that are layouts (Discord's components V2): texts, containers, pictures among rows.

The numbers are those of Discord's documentation (component reference).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Literal

from pydantic import Discriminator, Field, StringConstraints, Tag

from bot.playground.components import ActionRow, Button, component_type
from bot.playground.forms import Body, fault

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from bot.playground.errors import Json

COMPONENTS = 40
"""In a message, those within others counted."""
CHARACTERS = 4000
"""Of all texts in a message together."""

Number = Annotated[int, Field(ge=0, lt=2**31)] | None
MediaUrl = Annotated[str, StringConstraints(pattern=r"^(https?|attachment)://\S+$")]


class Media(Body):
    """Where a picture is: at an address, or among the message's files."""

    url: MediaUrl


class TextDisplay(Body):
    """A text in markdown."""

    type: Literal[10]
    id: Number = None
    content: Annotated[str, StringConstraints(min_length=1, max_length=CHARACTERS)]


class Thumbnail(Body):
    """A small picture beside a section."""

    type: Literal[11]
    id: Number = None
    media: Media
    description: Annotated[str, StringConstraints(max_length=1024)] | None = None
    spoiler: bool = False


class Section(Body):
    """Texts with a button or a picture at their side."""

    type: Literal[9]
    id: Number = None
    components: Annotated[list[TextDisplay], Field(min_length=1, max_length=3)]
    accessory: Annotated[Button | Thumbnail, Field(discriminator="type")]


class GalleryItem(Body):
    """One picture of a gallery."""

    media: Media
    description: Annotated[str, StringConstraints(max_length=1024)] | None = None
    spoiler: bool = False


class MediaGallery(Body):
    """One to ten pictures."""

    type: Literal[12]
    id: Number = None
    items: Annotated[list[GalleryItem], Field(min_length=1, max_length=10)]


class File(Body):
    """One of the message's files."""

    type: Literal[13]
    id: Number = None
    file: Media
    spoiler: bool = False


class Separator(Body):
    """A gap, or a line."""

    type: Literal[14]
    id: Number = None
    divider: bool = True
    spacing: Literal[1, 2] = 1


_NAMES = {9: "<section>", 10: "<text>", 12: "<gallery>", 13: "<file>", 14: "<separator>"}


def _within(component: Any) -> str:
    return _NAMES.get(component_type(component), "<row>")


def _top(component: Any) -> str:
    return "<container>" if component_type(component) == Container.TYPE else _within(component)


# The tags are marks that `forms` leaves out of a path: Discord's paths have only indices.
InContainer = (
    Annotated[ActionRow, Tag("<row>")]
    | Annotated[Section, Tag("<section>")]
    | Annotated[TextDisplay, Tag("<text>")]
    | Annotated[MediaGallery, Tag("<gallery>")]
    | Annotated[File, Tag("<file>")]
    | Annotated[Separator, Tag("<separator>")]
)


class Container(Body):
    """A frame with a coloured edge."""

    TYPE: ClassVar = 17
    type: Literal[17]
    id: Number = None
    components: Annotated[
        list[Annotated[InContainer, Discriminator(_within)]], Field(min_length=1, max_length=39)
    ]
    accent_color: Annotated[int, Field(ge=0, le=0xFFFFFF)] | None = None
    spoiler: bool = False


TopLevel = Annotated[InContainer | Annotated[Container, Tag("<container>")], Discriminator(_top)]


def every(components: Iterable[Any]) -> Iterator[Any]:
    """Each component of a message, as models, with those within others."""
    for component in components:
        yield component
        yield from every(getattr(component, "components", ()))
        if (accessory := getattr(component, "accessory", None)) is not None:
            yield accessory


def check(components: list[Any], *, layout: bool) -> None:
    """Raise a fault where Discord does.

    `layout`: the message says that it is one; others have up to five rows.
    """
    if not layout:
        if any(not isinstance(component, ActionRow) for component in components):
            raise fault("BASE_TYPE_CHOICES", "Value must be one of {1}.")
        if len(components) > ActionRow.MOST:
            raise fault("BASE_TYPE_MAX_LENGTH", "Must be 5 or fewer in length.")
    parts = list(every(components))
    ids = [part.custom_id for part in parts if getattr(part, "custom_id", None)]
    if len(set(ids)) != len(ids):
        raise fault("COMPONENT_CUSTOM_ID_DUPLICATED", "Component custom id cannot be duplicated")
    if len(parts) > COMPONENTS:
        raise fault("COMPONENT_MAX_TOTAL_COMPONENTS_EXCEEDED", "Too many components (40)")
    texts = (part.content for part in parts if isinstance(part, TextDisplay))
    if sum(map(len, texts)) > CHARACTERS:
        raise fault("COMPONENT_DISPLAYABLE_TEXT_SIZE_EXCEEDED", "Too much text (4000)")


def numbered(components: list[Any]) -> list[Json]:
    """The components as Discord sends them back: every one with a number of its own."""
    payload = [component.model_dump(exclude_none=True) for component in components]
    given = {part["id"] for part in parts_of(payload) if part.get("id")}
    free = (number for number in range(1, 1000) if number not in given)
    for part in parts_of(payload):
        part["id"] = part.get("id") or next(free)
    return payload


def parts_of(components: Iterable[Json]) -> Iterator[Json]:
    """Each component of a message, as Discord sends them, with those within others."""
    for component in components:
        yield component
        yield from parts_of(component.get("components", ()))
        if (accessory := component.get("accessory")) is not None:
            yield accessory
