"""Commands' names and descriptions in every language that we have, as Discord shows them."""

from __future__ import annotations

from discord import Locale, app_commands
from discord.app_commands import TranslationContextLocation as Where

from bot.locales import ENGLISH, language_of, translated, translated_name

_NAMES = frozenset({Where.command_name, Where.group_name, Where.parameter_name, Where.choice_name})


class CommandTexts(app_commands.Translator):
    """Finds what discord.py wants to send in our texts; where there is none, English stays."""

    async def translate(
        self,
        string: app_commands.locale_str,
        locale: Locale,
        context: app_commands.TranslationContextTypes,
    ) -> str | None:
        """Translate one name or description for one of Discord's languages."""
        language = language_of(locale.value)
        if language == ENGLISH:
            return None
        if context.location in _NAMES and (name := translated_name(string.message, language)):
            return name
        return translated(string.message, language)
