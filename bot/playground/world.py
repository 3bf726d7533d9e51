"""The small world of the playground: a guild, its channels, roles and members."""

from __future__ import annotations

import functools
import operator
from dataclasses import dataclass, replace
from enum import IntFlag
from typing import TYPE_CHECKING

from bot.playground.snowflakes import created_at

if TYPE_CHECKING:
    from bot.playground.errors import Json


class Permission(IntFlag):
    """Discord's permission bits, as far as somebody here holds them."""

    CREATE_INVITE = 1 << 0
    ADMINISTRATOR = 1 << 3
    MANAGE_GUILD = 1 << 5
    ADD_REACTIONS = 1 << 6
    VIEW_CHANNEL = 1 << 10
    SEND_MESSAGES = 1 << 11
    MANAGE_MESSAGES = 1 << 13
    EMBED_LINKS = 1 << 14
    ATTACH_FILES = 1 << 15
    READ_MESSAGE_HISTORY = 1 << 16
    USE_EXTERNAL_EMOJIS = 1 << 18
    CHANGE_NICKNAME = 1 << 26
    USE_APPLICATION_COMMANDS = 1 << 31
    SEND_MESSAGES_IN_THREADS = 1 << 38


EVERYONE = (
    Permission.CREATE_INVITE
    | Permission.ADD_REACTIONS
    | Permission.VIEW_CHANNEL
    | Permission.SEND_MESSAGES
    | Permission.EMBED_LINKS
    | Permission.ATTACH_FILES
    | Permission.READ_MESSAGE_HISTORY
    | Permission.USE_EXTERNAL_EMOJIS
    | Permission.CHANGE_NICKNAME
    | Permission.USE_APPLICATION_COMMANDS
    | Permission.SEND_MESSAGES_IN_THREADS
)

# Fixed ids, so that what a bot keeps about this guild is still true after a restart.
_BORN = 1_325_000_000_000_000_000
GUILD_ID = _BORN
APPLICATION_ID = _BORN + 10


@dataclass(frozen=True, slots=True)
class User:
    """An account; `color` is how the page paints its avatar."""

    id: int
    username: str
    name: str
    color: str
    bot: bool = False

    def payload(self) -> Json:
        """The user as Discord sends it."""
        payload: Json = {
            "id": str(self.id),
            "username": self.username,
            "global_name": None if self.bot else self.name,
            "discriminator": "0000" if self.bot else "0",
            "avatar": None,
            "public_flags": 0,
            "flags": 0,
            "primary_guild": None,
        }
        return payload | {"bot": True} if self.bot else payload


@dataclass(frozen=True, slots=True)
class Role:
    """A role of the guild; the one with the guild's id is everyone's."""

    id: int
    name: str
    permissions: Permission
    position: int
    color: int = 0
    bot_id: int | None = None

    def payload(self) -> Json:
        """The role as Discord sends it."""
        payload: Json = {
            "id": str(self.id),
            "name": self.name,
            "permissions": str(int(self.permissions)),
            "position": self.position,
            "color": self.color,
            "colors": {
                "primary_color": self.color,
                "secondary_color": None,
                "tertiary_color": None,
            },
            "hoist": self.color != 0,
            "managed": self.bot_id is not None,
            "mentionable": False,
            "icon": None,
            "unicode_emoji": None,
            "flags": 0,
        }
        return payload if self.bot_id is None else payload | {"tags": {"bot_id": str(self.bot_id)}}


@dataclass(frozen=True, slots=True)
class Member:
    """A user in the guild, with the permissions that the roles give."""

    user: User
    roles: tuple[Role, ...]
    permissions: Permission

    def payload(self) -> Json:
        """The member as Discord sends it."""
        return {
            "user": self.user.payload(),
            "nick": None,
            "avatar": None,
            "banner": None,
            "roles": [str(role.id) for role in self.roles],
            "joined_at": created_at(GUILD_ID).isoformat(),
            "premium_since": None,
            "deaf": False,
            "mute": False,
            "flags": 0,
            "pending": False,
            "communication_disabled_until": None,
        }

    def may(self, needed: int) -> bool:
        """Whether the member holds all the needed permissions."""
        held = int(self.permissions)
        return bool(held & Permission.ADMINISTRATOR) or held & needed == needed


@dataclass(slots=True)
class Channel:
    """A text channel."""

    id: int
    name: str
    topic: str
    position: int
    last_message_id: int | None = None
    guild_id: int = GUILD_ID

    def payload(self) -> Json:
        """The channel as Discord sends it."""
        return {
            "id": str(self.id),
            "type": 0,
            "guild_id": str(self.guild_id),
            "name": self.name,
            "topic": self.topic,
            "position": self.position,
            "parent_id": None,
            "nsfw": False,
            "flags": 0,
            "rate_limit_per_user": 0,
            "permission_overwrites": [],
            "last_message_id": None if self.last_message_id is None else str(self.last_message_id),
        }


class World:
    """Everyone and every place, by id."""

    name = "The village square"

    def __init__(self, bot_name: str = "Kataribe") -> None:
        self.bot = User(APPLICATION_ID, bot_name, bot_name, "#b5485d", bot=True)
        everyone = Role(GUILD_ID, "@everyone", EVERYONE, 0)
        moderator = Role(
            _BORN + 2,
            "Moderator",
            EVERYONE | Permission.MANAGE_GUILD | Permission.MANAGE_MESSAGES,
            2,
            0xE0A458,
        )
        own = Role(_BORN + 1, bot_name, EVERYONE, 1, bot_id=APPLICATION_ID)
        self.roles = {role.id: role for role in (everyone, own, moderator)}

        owner = self._member(User(_BORN + 20, "toshi", "Toshi", "#5c6370"), administrator=True)
        aoi = self._member(User(_BORN + 21, "aoi", "Aoi", "#4f7cc4"), moderator)
        haru = self._member(User(_BORN + 22, "haru", "Haru", "#4c9a6a"))
        mika = self._member(User(_BORN + 23, "mika", "Mika", "#a869b8"))
        self.owner = owner.user
        """Who owns the guild and the application: the bot's host."""
        self.players = (aoi, haru, mika, owner)
        """The members that a visitor of the page can be."""
        everybody = (*self.players, self._member(self.bot, own))
        self.members = {member.user.id: member for member in everybody}
        self.channels = {
            channel.id: channel
            for channel in (
                Channel(_BORN + 30, "stories", "Ask for a story with /story", 0),
                Channel(_BORN + 31, "lounge", "Talk about what was told", 1),
            )
        }

    def join(self, username: str) -> Member:
        """Let somebody in whom nobody plays on the page."""
        member = self._member(User(_BORN + 100 + len(self.members), username, username, "#5c6370"))
        self.members[member.user.id] = member
        return member

    @staticmethod
    def _member(user: User, *roles: Role, administrator: bool = False) -> Member:
        permissions = EVERYONE
        if administrator:  # who then holds all the others too, as Discord says in interactions
            permissions = functools.reduce(operator.or_, Permission)
        for role in roles:
            permissions |= role.permissions
        return Member(user, roles, permissions)

    @property
    def guild_ids(self) -> list[int]:
        """Every guild: one here, more where somebody adds channels of others."""
        return list(dict.fromkeys(channel.guild_id for channel in self.channels.values()))

    def _guild_payload(self, guild_id: int) -> Json:
        # The role of everyone has its guild's id.
        roles = [replace(r, id=guild_id) if r.id == GUILD_ID else r for r in self.roles.values()]
        return {
            "id": str(guild_id),
            "name": self.name,
            "icon": None,
            "description": None,
            "home_header": None,
            "splash": None,
            "discovery_splash": None,
            "features": [],
            "banner": None,
            "owner_id": str(self.owner.id),
            "application_id": None,
            "region": "deprecated",
            "afk_channel_id": None,
            "afk_timeout": 300,
            "system_channel_id": None,
            "system_channel_flags": 0,
            "widget_enabled": False,
            "widget_channel_id": None,
            "verification_level": 0,
            "roles": [role.payload() for role in roles],
            "default_message_notifications": 0,
            "mfa_level": 0,
            "explicit_content_filter": 0,
            "max_presences": None,
            "max_members": 500_000,
            "max_stage_video_channel_users": 50,
            "max_video_channel_users": 25,
            "vanity_url_code": None,
            "premium_tier": 0,
            "premium_subscription_count": 0,
            "preferred_locale": "en-US",
            "rules_channel_id": None,
            "safety_alerts_channel_id": None,
            "public_updates_channel_id": None,
            "premium_progress_bar_enabled": False,
            "nsfw": False,
            "nsfw_level": 0,
            "emojis": [],
            "stickers": [],
            "incidents_data": None,
        }

    def guild_create_payload(self, guild_id: int) -> Json:
        """A guild as the gateway announces it; of its members only the bot, without an intent."""
        channels = [one.payload() for one in self.channels.values() if one.guild_id == guild_id]
        return self._guild_payload(guild_id) | {
            "joined_at": created_at(GUILD_ID).isoformat(),
            "large": False,
            "unavailable": False,
            "member_count": len(self.members),
            "members": [self.members[self.bot.id].payload()],
            "channels": channels,
            "voice_states": [],
            "threads": [],
            "presences": [],
            "stage_instances": [],
            "guild_scheduled_events": [],
            "soundboard_sounds": [],
            "hub_type": None,
        }

    def guild_summary(self, guild_id: int) -> Json:
        """A guild as the list of the bot's own guilds has it, with what the bot may do there."""
        whole = self._guild_payload(guild_id)
        permissions = str(int(self.members[self.bot.id].permissions))
        of = {name: whole[name] for name in ("id", "name", "icon", "banner", "features")}
        return of | {"owner": False, "permissions": permissions}

    def application_payload(self) -> Json:
        """The bot's application."""
        return {
            "id": str(APPLICATION_ID),
            "name": self.bot.name,
            "icon": None,
            "description": "",
            "type": None,
            "bot": self.bot.payload(),
            "bot_public": True,
            "bot_require_code_grant": False,
            "verify_key": "0" * 64,
            "flags": 0,
            "flags_new": "0",
            "redirect_uris": [],
            "interactions_endpoint_url": None,
            "role_connections_verification_url": None,
            "owner": self.owner.payload(),
            "approximate_guild_count": len(self.guild_ids),
            "approximate_user_install_count": 0,
            "approximate_user_authorization_count": 0,
            "explicit_content_filter": 0,
            "team": None,
            "eligible_oauth2_scopes": [],
        }
