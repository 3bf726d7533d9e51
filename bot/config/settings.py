"""All settings together, read once at the start."""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import Annotated, Any, Self

from pydantic import BeforeValidator, Field, SecretStr, ValidationError
from pydantic_settings import (
    BaseSettings,
    EnvSettingsSource,
    PydanticBaseSettingsSource,
    SettingsConfigDict,
)

from bot.config.refusals import (
    FOREIGN_SECTIONS,
    PREFIX,
    SettingsError,
    refuse_secrets,
    refuse_unknown_variables,
    sentence,
)
from bot.config.sections import (
    MOODS,
    Database,
    Discord,
    Duels,
    Generator,
    Health,
    Log,
    ModelName,
    Mood,
    MoodName,
    Playground,
    Privacy,
    Queue,
    RemoteModel,
    Stories,
    Votes,
    with_ours,
)


class Environment(EnvSettingsSource):
    """The environment, where the case of a name is lost: a model is spelt as the file spells it."""

    def __init__(self, settings: type[BaseSettings], file: dict[str, Any]) -> None:
        """Take the spelling from what the file gave."""
        super().__init__(settings)
        models = file.get("models")
        # Sorted: of two names that differ in case only, a variable means the one in lower case.
        names = sorted(models) if isinstance(models, dict) else []
        self._spelt = {name.lower(): name for name in names}

    def __call__(self) -> dict[str, Any]:
        """Read it."""
        given = super().__call__()
        if isinstance(models := given.get("models"), dict):
            given["models"] = {self._spelt.get(name, name): of for name, of in models.items()}
        return given


class Settings(BaseSettings):
    """All settings of the bot, read once at the start and never changed."""

    model_config = SettingsConfigDict(
        env_prefix=PREFIX, env_nested_delimiter="__", extra="forbid", frozen=True
    )

    discord: Discord = Discord()
    database: Database = Database()
    generator: Generator = Generator()
    models: dict[ModelName, RemoteModel] = {}
    moods: Annotated[dict[MoodName, Mood], BeforeValidator(with_ours)] = MOODS
    stories: Stories = Stories()
    queue: Queue = Queue()
    votes: Votes = Votes()
    privacy: Privacy = Privacy()
    duels: Duels = Duels()
    playground: Playground = Playground()
    health: Health = Health()
    log: Log = Log()
    token: SecretStr | None = Field(None, validation_alias="DISCORD_TOKEN")

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Let the environment win over the file, which `load` gives as initial values."""
        del env_settings, dotenv_settings, file_secret_settings
        return Environment(settings_cls, init_settings()), init_settings

    @classmethod
    def load(cls, path: Path | str = "config.toml", *, required: bool = False) -> Self:
        """Read the file and the environment.

        Args:
            path: The TOML file; without it every default holds.
            required: A missing file is an error: somebody named it.

        Raises:
            SettingsError: A setting is unknown or wrong, or the file cannot be read.
        """
        path = Path(path)
        tables = _read(path, required=required)
        tables = {name: table for name, table in tables.items() if name not in FOREIGN_SECTIONS}
        refuse_secrets(tables, path)
        refuse_unknown_variables(cls)
        try:
            settings = cls(**tables)
        except ValidationError as error:
            lines = [sentence(cls, details, path) for details in error.errors()]
            raise SettingsError("\n".join(lines)) from error
        if settings.stories.min_tokens > settings.stories.max_tokens:
            raise SettingsError(
                f"[stories] min_tokens takes at most max_tokens ({settings.stories.max_tokens}), "
                f"not {settings.stories.min_tokens}"
            )
        if settings.database.pooler and settings.database.url.startswith("sqlite"):
            raise SettingsError("[database] pooler takes nothing where url names a file")
        if settings.health.is_open:
            raise SettingsError(
                f"[health] host {settings.health.host} is open to others: give the key that its "
                f"readers show as {PREFIX}HEALTH__API_KEY, or take 127.0.0.1"
            )
        if settings.token is not None and not settings.token.get_secret_value().strip():
            settings = settings.model_copy(update={"token": None})
        if settings.token is None and settings.discord != Discord():
            raise SettingsError(
                f"DISCORD_TOKEN is not set, and {settings.discord.api_url} lets nobody in without"
            )
        return settings


def _read(path: Path, *, required: bool) -> dict[str, Any]:
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        if required:
            raise SettingsError(f"{path}: there is no such file") from None
        return {}
    except OSError as error:
        raise SettingsError(f"{path} cannot be read: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise SettingsError(f"{path} is not UTF-8 text (byte {error.start})") from error
    except (ValueError, RecursionError) as error:  # also of a number of 5,000 digits
        raise SettingsError(f"{path} is not valid TOML: {error}") from error
