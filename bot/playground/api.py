"""What each route of the REST API does: https://discord.com/developers/docs/reference."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bot.playground.callbacks import Callback
from bot.playground.errors import ApiError, Fault, Json
from bot.playground.forms import read
from bot.playground.limits import EPHEMERAL, LOADING, MessageBody
from bot.playground.messages import snowflake
from bot.playground.world import APPLICATION_ID

if TYPE_CHECKING:
    from collections.abc import Callable

    from bot.playground.callbacks import Callbacks
    from bot.playground.commands import Commands
    from bot.playground.gateway import Gateway
    from bot.playground.messages import Message, Messages
    from bot.playground.rate_limits import RateLimits
    from bot.playground.rest import Call, Route
    from bot.playground.world import World


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
        commands = "/applications/{application_id}/commands"
        channel = "/channels/{channel_id}"
        message = f"{channel}/messages/{{message_id}}"
        webhook = "/webhooks/{webhook_id}/{webhook_token}"
        callback = "/interactions/{interaction_id}/{interaction_token}/callback"
        return [
            ("GET", "/gateway", lambda _: {"url": self._gateway.url}, None),
            ("GET", "/gateway/bot", self._gateway_bot, None),
            ("GET", "/users/@me", self._me, None),
            ("GET", "/users/@me/guilds", self._guilds, None),
            ("GET", "/oauth2/applications/@me", self._application, None),
            ("GET", "/applications/@me", self._application, None),
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
            ("GET", commands, self._list_commands, None),
            ("PUT", commands, self._overwrite_commands, None),
        ]

    # Who and where

    def _gateway_bot(self, _: Call) -> Json:
        limit = {"total": 1000, "remaining": 1000, "reset_after": 0, "max_concurrency": 1}
        url = self._gateway.url
        return {"url": url, "shards": self._gateway.shards, "session_start_limit": limit}

    def _me(self, _: Call) -> Json:
        return self._world.bot.payload() | {
            "mfa_enabled": True,
            "verified": True,
            "locale": "en-US",
            "email": None,
        }

    def _guilds(self, _: Call) -> list[Json]:
        return [self._world.guild_summary(id_) for id_ in self._world.guild_ids]

    def _application(self, _: Call) -> Json:
        return self._world.application_payload()

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

    def _own(self, call: Call) -> None:
        if call.id("application_id") != APPLICATION_ID:
            raise ApiError.of(Fault.UNKNOWN_APPLICATION)

    def _list_commands(self, call: Call) -> list[Json]:
        self._own(call)
        return self._commands.registered()

    def _overwrite_commands(self, call: Call) -> list[Json]:
        self._own(call)
        return self._commands.overwrite(call.body)
