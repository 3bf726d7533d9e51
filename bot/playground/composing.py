"""From what a member typed and picked to an interaction's data, checked as Discord's client."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from bot.playground.commands import OptionType
from bot.playground.messages import snowflake

if TYPE_CHECKING:
    from bot.playground.errors import Json
    from bot.playground.messages import Message
    from bot.playground.world import Member, World

USER_COMMAND = 2
MESSAGE_COMMAND = 3

_SELECTS = {
    5: OptionType.USER,
    6: OptionType.ROLE,
    7: OptionType.MENTIONABLE,
    8: OptionType.CHANNEL,
}
"""Select menus that Discord fills, and the kind of option that takes the same things."""


class InputError(Exception):
    """Something that the member must put right; `field` names the option or text field."""

    def __init__(self, sentence: str, field: str | None = None) -> None:
        super().__init__(sentence)
        self.field = field


def command_data(world: World, command: Json, path: list[str], values: dict[str, str]) -> Json:
    """The data of a slash command.

    Args:
        world: where users, roles and channels are looked up.
        command: as registered.
        path: the subcommand, with its group before it.
        values: what was filled in, by option, as text.

    Raises:
        InputError: an option is missing or not of its type.
    """
    options = _options_at(command, path)
    resolved: Json = {}
    filled = []
    for option in options:
        text = values.get(option["name"], "")
        if text != "":
            value = _value(world, option, text, resolved)
            filled.append({"name": option["name"], "type": option["type"], "value": value})
        elif option.get("required"):
            raise InputError(f"Fill in {option['name']}.", option["name"])
    return _nest(command, path, filled) | ({"resolved": resolved} if resolved else {})


def autocomplete_data(command: Json, path: list[str], values: dict[str, str], focus: str) -> Json:
    """The data of a request for suggestions: what is filled in so far, and where the cursor is.

    Raises:
        InputError: there is no such option.
    """
    options = _options_at(command, path)
    if not any(option["name"] == focus and option.get("autocomplete") for option in options):
        raise InputError(f"{focus} has no suggestions.", focus)
    filled: list[Json] = []
    for option in options:
        name, text = option["name"], values.get(option["name"], "")
        if name == focus:
            filled.append({"name": name, "type": option["type"], "value": text, "focused": True})
        elif text:
            filled.append({"name": name, "type": option["type"], "value": _plain(option, text)})
    return _nest(command, path, filled)


def context_data(command: Json, target: Message | Member) -> Json:
    """The data of a command from the menu of a message or a member."""
    data: Json = {"id": command["id"], "name": command["name"], "type": command["type"]}
    resolved: Json = {}
    if command["type"] == MESSAGE_COMMAND:
        payload = target.payload()
        resolved["messages"] = {payload["id"]: payload}
        return data | {"target_id": payload["id"], "resolved": resolved}
    user_id = target.payload()["user"]["id"]
    _resolve_member(target, resolved)
    return data | {"target_id": user_id, "resolved": resolved}


def component_data(world: World, component: Json, values: list[str]) -> Json:
    """The data of a pressed button or a used select menu.

    Raises:
        InputError: it is disabled, or what was picked is not on offer.
    """
    if component.get("disabled"):
        raise InputError("This cannot be used now.")
    kind = component["type"]
    data: Json = {"custom_id": component["custom_id"], "component_type": kind}
    return data if kind == 2 else data | _picked(world, component, values)  # noqa: PLR2004  # a button


def modal_data(world: World, modal: Json, values: dict[str, Any]) -> Json:
    """The data of a submitted modal; `values` by custom id.

    Raises:
        InputError: a field is missing, too short or too long.
    """
    parts: list[Json] = []
    for part in modal["components"]:
        match part["type"]:
            case 1:
                parts.append(
                    {"type": 1, "components": [_entered(world, part["components"][0], values)]}
                )
            case 18:
                parts.append({"type": 18, "component": _entered(world, part["component"], values)})
            case _:
                parts.append({"type": part["type"]})
    return {"custom_id": modal["custom_id"], "components": parts}


def _options_at(command: Json, path: list[str]) -> list[Json]:
    options: list[Json] = command.get("options", [])
    for name in path:
        inner = next((option for option in options if option["name"] == name), None)
        if inner is None:
            raise InputError(f"/{command['name']} has no {name}.")
        options = inner.get("options", [])
    if any(option["type"] in {1, 2} for option in options):
        raise InputError(f"Choose what /{command['name']} should do.")
    return options


def _nest(command: Json, path: list[str], filled: list[Json]) -> Json:
    """Put the options inside their subcommand and group."""
    kinds = [OptionType.SUB_COMMAND_GROUP, OptionType.SUB_COMMAND][-len(path) :] if path else []
    for name, kind in zip(reversed(path), reversed(kinds), strict=True):
        filled = [{"name": name, "type": int(kind), "options": filled}]
    return {"id": command["id"], "name": command["name"], "type": 1, "options": filled}


def _value(world: World, option: Json, text: str, resolved: Json) -> Any:
    """An option's value, from the text of its field."""
    name = option["name"]
    kind = OptionType(option["type"])
    if option.get("choices"):
        for choice in option["choices"]:
            if text in {str(choice["value"]), choice["name"]}:
                return choice["value"]
        offered = ", ".join(choice["name"] for choice in option["choices"])
        raise InputError(f"{name} is one of: {offered}.", name)
    match kind:
        case OptionType.STRING:
            _check_length(name, text, option.get("min_length"), option.get("max_length"))
            return text
        case OptionType.INTEGER | OptionType.NUMBER:
            return _number(option, text)
        case OptionType.BOOLEAN:
            if text.lower() not in {"true", "false"}:
                raise InputError(f"{name} is true or false.", name)
            return text.lower() == "true"
        case OptionType.ATTACHMENT:
            raise InputError("The playground does not send files.", name)
        case _:
            return _resolve(world, kind, text.strip("<@#&!>"), resolved, name)


def _number(option: Json, text: str) -> int | float:
    name = option["name"]
    try:
        value: int | float = _plain(option, text)
    except ValueError:
        kind = "a whole number" if option["type"] == OptionType.INTEGER else "a number"
        raise InputError(f"{name} is {kind}.", name) from None
    least, most = option.get("min_value"), option.get("max_value")
    if least is not None and value < least:
        raise InputError(f"{name} is {least} or more.", name)
    if most is not None and value > most:
        raise InputError(f"{name} is {most} or less.", name)
    return value


def _plain(option: Json, text: str) -> Any:
    match option["type"]:
        case OptionType.INTEGER:
            return int(text)
        case OptionType.NUMBER:
            return float(text)
        case OptionType.BOOLEAN:
            return text.lower() == "true"
        case _:
            return text


def _check_length(name: str, text: str, least: int | None, most: int | None) -> None:
    if least is not None and len(text) < least:
        raise InputError(f"{name} has {least} characters or more.", name)
    if most is not None and len(text) > most:
        raise InputError(f"{name} has {most} characters or fewer; these are {len(text)}.", name)


def _resolve(world: World, kind: OptionType, text: str, resolved: Json, name: str) -> str:
    """The id of a member, role or channel named by id or name; its object goes to `resolved`."""
    lowered = text.lower().lstrip("@#")
    if kind in {OptionType.USER, OptionType.MENTIONABLE}:
        for member in world.members.values():
            if text == str(member.user.id) or lowered == member.user.username.lower():
                _resolve_member(member, resolved)
                return str(member.user.id)
    if kind in {OptionType.ROLE, OptionType.MENTIONABLE}:
        for role in world.roles.values():
            if text == str(role.id) or lowered == role.name.lower().lstrip("@"):
                resolved.setdefault("roles", {})[str(role.id)] = role.payload()
                return str(role.id)
    if kind is OptionType.CHANNEL:
        for channel in world.channels.values():
            if text == str(channel.id) or lowered == channel.name:
                payload = channel.payload() | {"permissions": "0"}
                resolved.setdefault("channels", {})[str(channel.id)] = payload
                return str(channel.id)
    raise InputError(f"{name}: there is no {text} here.", name)


def _resolve_member(member: Member | Message, resolved: Json) -> None:
    payload = member.payload()
    user = payload.pop("user")
    del payload["deaf"], payload["mute"]
    permissions = {"permissions": str(int(getattr(member, "permissions", 0)))}
    resolved.setdefault("users", {})[user["id"]] = user
    resolved.setdefault("members", {})[user["id"]] = payload | permissions


def _picked(world: World, component: Json, values: list[str]) -> Json:
    least, most = component.get("min_values", 1), component.get("max_values", 1)
    if not least <= len(values) <= most:
        raise InputError(f"Pick {least}." if least == most else f"Pick {least} to {most}.")
    if component["type"] in _SELECTS:
        resolved: Json = {}
        kind = _SELECTS[component["type"]]
        ids = [_resolve(world, kind, value, resolved, "choice") for value in values]
        return {"values": ids, "resolved": resolved}
    offered = {option["value"] for option in component["options"]}
    if not offered.issuperset(values):
        raise InputError("Pick one of the options.")
    return {"values": values}


def _entered(world: World, component: Json, values: dict[str, Any]) -> Json:
    custom_id, kind = component["custom_id"], component["type"]
    data: Json = {"type": kind, "custom_id": custom_id}
    value = values.get(custom_id)
    if kind != 4:  # noqa: PLR2004  # a text input
        return data | _picked(world, component, value if isinstance(value, list) else [])
    text = value if isinstance(value, str) else ""
    if not text and component.get("required", True):
        raise InputError("Fill this in.", custom_id)
    if text:
        name = component.get("label") or "This"
        try:
            _check_length(name, text, component.get("min_length"), component.get("max_length"))
        except InputError as error:
            raise InputError(str(error), custom_id) from None
    return data | {"value": text}


def find_member(world: World, user_id: str) -> Member:
    """The member with this id.

    Raises:
        InputError: there is none.
    """
    member = world.members.get(snowflake(user_id))
    if member is None:
        raise InputError("This member is not here.")
    return member
