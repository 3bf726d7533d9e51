"""What each route of the REST API does: https://discord.com/developers/docs/reference."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bot.playground.callbacks import Callback
from bot.playground.errors import ApiError, Fault, Json
from bot.playground.forms import read
from bot.playground.limits import EPHEMERAL, LOADING, MessageBody
from bot.playground.messages import snowflake
from bot.playground.world import APPLICATION_ID, GUILD_ID

if TYPE_CHECKING:
    from collections.abc import Callable

    from bot.playground.callbacks import Callbacks
    from bot.playground.commands import Commands
    from bot.playground.gateway import Gateway
    from bot.playground.messages import Message, Messages
    from bot.playground.rate_limits import RateLimits
    from bot.playground.rest import Call, Route
    from bot.playground.world import Member, World


class Api:
    """The routes over the playground's parts."""

    def __init__(
        self,
        world: World,
        messages: Messages,
        commands: Commands,
        callbacks: Callbacks,
        gateway: Gateway,
        rate_limits: RateLimits,
    ) -> None:
        self._world = world
        self._messages = messages
        self._commands = commands
        self._callbacks = callbacks
        self._gateway = gateway
        self._rate_limits = rate_limits
        self.typing: list[Callable[[int], None]] = []
        """Called with a channel's id when the bot says that it types there."""

    def routes(self) -> list[Route]:
        """Method, path, handler, and the part of the path that has a rate limit of its own."""
        me, app = "/users/@me", "/applications/{application_id}"
        guild, channel = "/guilds/{guild_id}", "/channels/{channel_id}"
        message = f"{channel}/messages/{{message_id}}"
        everywhere, here = f"{app}/commands", f"{app}/guilds/{{guild_id}}/commands"
        webhook = "/webhooks/{webhook_id}/{webhook_token}"
        callback = "/interactions/{interaction_id}/{interaction_token}/callback"
        table: list[Route] = [
            ("GET", "/gateway", lambda _: {"url": self._gateway.url}, None),
            ("GET", "/gateway/bot", self._gateway_bot, None),
            ("GET", me, self._me, None),
            ("GET", f"{me}/guilds", self._my_guilds, None),
            ("GET", "/users/{user_id}", lambda c: self._member(c, "user_id").user.payload(), None),
            ("GET", "/oauth2/applications/@me", self._application, None),
            ("GET", "/applications/@me", self._application, None),
            ("GET", guild, self._guild, None),
            ("GET", f"{guild}/channels", self._channels, None),
            ("GET", f"{guild}/roles", self._roles, None),
            ("GET", f"{guild}/members", self._members, None),
            ("GET", f"{guild}/members/{{user_id}}", self._guild_member, None),
            ("GET", channel, lambda c: self._messages.channel(c.id("channel_id")).payload(), None),
            ("POST", f"{channel}/typing", self._typing, None),
            ("GET", f"{channel}/messages", self._history, None),
            ("POST", f"{channel}/messages", self._post, "channel_id"),
            ("GET", message, self._fetch, None),
            ("PATCH", message, self._edit, "channel_id"),
            ("DELETE", message, self._delete, "channel_id"),
            ("GET", webhook + "/messages/{message_id}", self._webhook_fetch, None),
            ("PATCH", webhook + "/messages/{message_id}", self._webhook_edit, "webhook_token"),
            ("DELETE", webhook + "/messages/{message_id}", self._webhook_delete, "webhook_token"),
            ("POST", webhook, self._follow_up, "webhook_token"),
            ("POST", callback, self._callback, None),
        ]
        for scope in (everywhere, here):
            table += [
                ("GET", scope, self._list_commands, None),
                ("PUT", scope, self._overwrite_commands, None),
                ("POST", scope, self._create_command, None),
                ("GET", f"{scope}/{{command_id}}", self._get_command, None),
                ("DELETE", f"{scope}/{{command_id}}", self._delete_command, None),
            ]
        return table

    # Who and where

    def _gateway_bot(self, _: Call) -> Json:
        limit = {"total": 1000, "remaining": 1000, "reset_after": 0, "max_concurrency": 1}
        return {"url": self._gateway.url, "shards": 1, "session_start_limit": limit}

    def _me(self, _: Call) -> Json:
        return self._world.bot.payload() | {
            "mfa_enabled": True,
            "verified": True,
            "locale": "en-US",
            "email": None,
        }

    def _my_guilds(self, _: Call) -> list[Json]:
        permissions = str(int(self._world.members[self._world.bot.id].permissions))
        guild = {"id": str(GUILD_ID), "name": self._world.name, "icon": None, "banner": None}
        return [guild | {"owner": False, "permissions": permissions, "features": []}]

    def _application(self, _: Call) -> Json:
        return self._world.application_payload()

    def _in_guild(self, call: Call) -> None:
        if call.id("guild_id") != GUILD_ID:
            raise ApiError.of(Fault.UNKNOWN_GUILD)

    def _guild(self, call: Call) -> Json:
        self._in_guild(call)
        counts = {}
        if call.query.get("with_counts") in {"1", "true"}:
            members = len(self._world.members)
            counts = {"approximate_member_count": members, "approximate_presence_count": members}
        return self._world.guild_payload() | counts

    def _channels(self, call: Call) -> list[Json]:
        self._in_guild(call)
        return [channel.payload() for channel in self._world.channels.values()]

    def _roles(self, call: Call) -> list[Json]:
        self._in_guild(call)
        return [role.payload() for role in self._world.roles.values()]

    def _members(self, call: Call) -> list[Json]:
        self._in_guild(call)
        limit = snowflake(call.query.get("limit", 1))
        after = snowflake(call.query.get("after", 0))
        members = sorted(self._world.members.values(), key=lambda member: member.user.id)
        return [member.payload() for member in members if member.user.id > after][:limit]

    def _guild_member(self, call: Call) -> Json:
        self._in_guild(call)
        return self._member(call, "user_id", Fault.UNKNOWN_MEMBER).payload()

    def _member(self, call: Call, name: str, fault: Fault = Fault.UNKNOWN_USER) -> Member:
        try:
            return self._world.members[call.id(name)]
        except KeyError:
            raise ApiError.of(fault) from None

    # Messages

    def _typing(self, call: Call) -> None:
        channel = self._messages.channel(call.id("channel_id"))
        for listener in self.typing:
            listener(channel.id)

    def _history(self, call: Call) -> list[Json]:
        limit = min(snowflake(call.query.get("limit", 50)) or 50, 100)
        before = snowflake(call.query.get("before", 0)) or None
        after = snowflake(call.query.get("after", 0))
        found = [
            message
            for message in self._messages.history(call.id("channel_id"))
            if message.id > after and (before is None or message.id < before)
        ]
        page = found[:limit] if "after" in call.query else found[-limit:]
        return [message.payload() for message in reversed(page)]

    def _public(self, call: Call) -> Message:
        return self._messages.public(call.id("channel_id"), call.id("message_id"))

    def _fetch(self, call: Call) -> Json:
        return self._public(call).payload()

    def _post(self, call: Call) -> Json:
        body = read(MessageBody, call.body or {})
        author, channel = self._world.bot, call.id("channel_id")
        return self._messages.create(channel, author, body, files=call.files).payload()

    def _edit(self, call: Call) -> Json:
        message = self._public(call)
        if message.author.id != self._world.bot.id:
            raise ApiError.of(Fault.NOT_THE_AUTHOR)
        if message.age >= self._rate_limits.old_after:
            self._rate_limits.take_old_edit(message.channel_id)
        self._messages.edit(message, read(MessageBody, call.body or {}), files=call.files)
        return message.payload()

    def _delete(self, call: Call) -> None:
        message = self._public(call)
        if message.author.id != self._world.bot.id:
            raise ApiError.of(Fault.MISSING_PERMISSIONS)
        self._messages.delete(message)

    # Interactions

    def _callback(self, call: Call) -> Json | None:
        token = call.path["interaction_token"]
        interaction, callback = self._callbacks.acknowledge(
            call.id("interaction_id"), token, call.body, call.files
        )
        if call.query.get("with_response") not in {"1", "true"}:
            return None
        told: Json = {"id": str(interaction.id), "type": int(interaction.kind)}
        message = interaction.original
        shown = callback in {Callback.MESSAGE, Callback.DEFERRED_MESSAGE, Callback.UPDATE}
        if message is None or not shown:
            return {"interaction": told}
        told |= {
            "response_message_id": str(message.id),
            "response_message_loading": bool(message.flags & LOADING),
            "response_message_ephemeral": bool(message.flags & EPHEMERAL),
        }
        if callback is Callback.DEFERRED_MESSAGE:
            return {"interaction": told}
        resource = {"type": int(callback), "message": message.payload()}
        return {"interaction": told, "resource": resource}

    def _follow_up(self, call: Call) -> Json | None:
        interaction = self._callbacks.webhook(call.id("webhook_id"), call.path["webhook_token"])
        message = self._callbacks.follow_up(interaction, call.body or {}, call.files)
        return message.payload() if call.query.get("wait") in {"1", "true"} else None

    def _written(self, call: Call) -> Message:
        interaction = self._callbacks.webhook(call.id("webhook_id"), call.path["webhook_token"])
        return self._callbacks.written(interaction, call.path["message_id"])

    def _webhook_fetch(self, call: Call) -> Json:
        return self._written(call).payload()

    def _webhook_edit(self, call: Call) -> Json:
        message = self._written(call)
        self._messages.edit(message, read(MessageBody, call.body or {}), files=call.files)
        return message.payload()

    def _webhook_delete(self, call: Call) -> None:
        self._messages.delete(self._written(call))

    # Commands

    def _scope(self, call: Call) -> int | None:
        if call.id("application_id") != APPLICATION_ID:
            raise ApiError.of(Fault.UNKNOWN_APPLICATION)
        return call.id("guild_id") if "guild_id" in call.path else None

    def _list_commands(self, call: Call) -> list[Json]:
        return self._commands.registered(self._scope(call))

    def _overwrite_commands(self, call: Call) -> list[Json]:
        return self._commands.overwrite(self._scope(call), call.body)

    def _create_command(self, call: Call) -> Json:
        return self._commands.create(self._scope(call), call.body)

    def _get_command(self, call: Call) -> Json:
        self._scope(call)
        return self._commands.find(call.id("command_id"))

    def _delete_command(self, call: Call) -> None:
        self._commands.delete(self._scope(call), call.id("command_id"))
