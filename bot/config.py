"""Every setting as a typed object: `config.toml` first, then the environment over it.

`[section] name` is `KATARIBE_SECTION__NAME` in the environment. The token is a secret and comes
only from `DISCORD_TOKEN`. What is wrong is said in one line for each wrong setting, and nothing
is silently ignored: a misspelt name would otherwise look as if it worked.
"""

from __future__ import annotations

import ipaddress
import os
import tomllib
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal, Self

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    SecretStr,
    StringConstraints,
    ValidationError,
)
from pydantic_settings import (
    BaseSettings,
    EnvSettingsSource,
    PydanticBaseSettingsSource,
    SettingsConfigDict,
)
from sqlalchemy.engine import make_url
from sqlalchemy.exc import ArgumentError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from pydantic_core import ErrorDetails

PREFIX = "KATARIBE_"
FOREIGN_SECTIONS = frozenset({"engine"})
"""Sections of config.toml that belong to the generator, which reads and checks them itself."""


class SettingsError(Exception):
    """Settings that cannot be used; the message has one line for each wrong one."""


def _whole(default: int | None, *, low: int, high: int) -> Any:
    return Field(default, ge=low, le=high, description=f"a whole number from {low} to {high}")


def _number(default: float | None, *, low: float, high: float) -> Any:
    return Field(
        default,
        ge=low,
        le=high,
        allow_inf_nan=False,
        description=f"a number from {low:g} to {high:.10g}",
    )


def _seconds(default: float, *, low: float, high: float) -> Any:
    return Field(
        default,
        ge=low,
        le=high,
        allow_inf_nan=False,
        description=f"seconds, a number from {low:g} to {high:.10g}",
    )


def _without_slash(url: str) -> str:
    return url.rstrip("/")


def _database(url: str) -> str:
    try:
        driver = make_url(url).drivername
    except ArgumentError as error:
        raise ValueError("not a database URL") from error
    if driver not in {"sqlite+aiosqlite", "postgresql+asyncpg"}:
        raise ValueError("not a database that Kataribe speaks to")
    return url


def _key(key: SecretStr | None) -> SecretStr | None:
    """What an HTTP header can hold; nothing is no key."""
    said = key.get_secret_value().strip() if key else ""
    if not (said.isascii() and said.isprintable()):
        raise ValueError("not a key")
    return SecretStr(said) if said else None


def _loopback(host: str) -> str:
    if host != "localhost" and not ipaddress.ip_address(host).is_loopback:
        raise ValueError("not a loopback address")
    return host


def _upper(level: object) -> object:
    return level.upper() if isinstance(level, str) else level


ModelName = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=100)]
"""What Discord and the database take as a name."""


MoodName = Annotated[str, StringConstraints(pattern=r"^[a-z0-9][a-z0-9-]{0,31}$")]


class Section(BaseModel):
    """One table of config.toml; a name that it does not know is an error."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class Discord(Section):
    """Which Discord to speak to."""

    api_url: Annotated[str, AfterValidator(_without_slash)] = Field(
        "https://discord.com/api/v10",
        pattern=r"^https?://[^/\s]+",
        description="an address such as https://discord.com/api/v10",
    )
    gateway_url: str = Field(
        "",
        pattern=r"^(wss?://[^/\s]+\S*)?$",
        description="an address such as wss://gateway.discord.gg/, or nothing to ask the API",
    )


class Database(Section):
    """Where everything is kept."""

    url: Annotated[str, AfterValidator(_database)] = Field(
        "sqlite+aiosqlite:///kataribe.db",
        repr=False,  # it may hold a password
        description="sqlite+aiosqlite:///FILE or postgresql+asyncpg://USER:PASSWORD@HOST/NAME",
    )


class Server(Section):
    """An OpenAI-compatible completions server."""

    api_key: Annotated[SecretStr | None, AfterValidator(_key)] = Field(
        None, description="a key of ASCII letters, digits and signs; only from the environment"
    )


class Generator(Server):
    """The completions server that tells."""

    url: Annotated[str, AfterValidator(_without_slash)] = Field(
        "",
        pattern=r"^(https?://[^/\s@]+(/\S*)?)?$",
        description="an address such as http://127.0.0.1:8000, or nothing to start our own",
    )
    start_timeout: float = _seconds(120, low=1, high=3600)
    request_timeout: float = _seconds(60, low=0.1, high=3600)


class RemoteModel(Server):
    """A further server, offered to members under a name of its own."""

    url: Annotated[str, AfterValidator(_without_slash)] = Field(
        pattern=r"^https?://[^/\s@]+(/\S*)?$",
        description="the server's address, such as http://127.0.0.1:8000",
    )
    model: str = Field("", description="the model's name at that server, or nothing for the same")


class Sampling(Section):
    """How the next word is drawn; each model knows what suits it unless the host says otherwise."""

    temperature: float | None = _number(None, low=0, high=2)
    top_k: int | None = _whole(None, low=0, high=1_000_000)
    top_p: float | None = Field(
        None, gt=0, le=1, allow_inf_nan=False, description="a number above 0, up to 1"
    )
    repetition_penalty: float | None = _number(None, low=0.5, high=5)
    no_repeat_ngram_size: int | None = _whole(None, low=0, high=100)


class Mood(Sampling):
    """A named way to draw words, which members choose; what it leaves out is the model's own."""

    num_beams: int | None = _whole(None, low=1, high=16)


MOODS = {
    "calm": Mood(temperature=0.6, top_p=0.9),
    "lively": Mood(temperature=0.9, top_p=0.95),
    "wild": Mood(temperature=1.2, top_p=0.98),
    # Mishra's (2020), whose beginnings are among the house's own.
    "article": Mood(
        temperature=0.6,
        top_k=1000,
        top_p=0.95,
        repetition_penalty=1.0,
        no_repeat_ngram_size=2,
        num_beams=5,
    ),
}


def _with_ours(moods: object) -> object:
    """What the host says of moods is said besides ours, or instead of one of the same name."""
    return {**MOODS, **moods} if isinstance(moods, dict) else moods


class Stories(Sampling):
    """How stories are told and shown."""

    model: ModelName = Field("gpt2-starter", description="a model's name")
    max_tokens: int = _whole(220, low=1, high=2000)
    long_tokens: int = _whole(450, low=1, high=4000)
    variation_tokens: int = _whole(60, low=1, high=400)
    saga_parts: int = _whole(5, low=1, high=50)
    parts: int = _whole(20, low=1, high=1000)
    min_tokens: int = _whole(40, low=0, high=2000)
    text_limit: int = _whole(20_000, low=100, high=1_000_000)
    memory: int = _whole(600, low=0, high=20_000)
    edit_interval: float = _seconds(1.2, low=0, high=60)
    words_per_second: float = _number(20, low=0, high=1000)
    prompt_limit: int = _whole(400, low=1, high=1500)


class Queue(Section):
    """How many stories wait, for how long, and how often one is tried."""

    tellers: int = _whole(8, low=1, high=1000)
    per_member: int = _whole(3, low=1, high=1000)
    per_server: int = _whole(50, low=1, high=100_000)
    waiting: int = _whole(1000, low=1, high=1_000_000)
    cooldown: float = _seconds(0, low=0, high=86_400)
    daily: int = _whole(0, low=0, high=100_000)
    lease: float = _seconds(30, low=1, high=3600)
    attempts: int = _whole(5, low=1, high=100)
    expire_after: float = _seconds(86_400, low=1, high=31_536_000)


class Votes(Section):
    """Whose stars count."""

    account_age: float = _seconds(86_400, low=0, high=31_536_000)


class Privacy(Section):
    """How long things are kept."""

    days_after_leaving: float = _number(30, low=0, high=3650)


class Duels(Section):
    """How long members vote on which of two models told a beginning better."""

    lasts: float = _seconds(3600, low=10, high=604_800)
    votes: int = _whole(0, low=0, high=100_000)


class Playground(Section):
    """The local stand-in for Discord; loopback only, since everyone who opens it is let in."""

    host: Annotated[str, AfterValidator(_loopback)] = Field(
        "127.0.0.1", description="a loopback address: 127.0.0.1, ::1 or localhost"
    )
    port: int = _whole(8888, low=0, high=65_535)


class Log(Section):
    """What is written to standard error."""

    level: Annotated[Literal["DEBUG", "INFO", "WARNING", "ERROR"], BeforeValidator(_upper)] = Field(
        "INFO", description="debug, info, warning or error"
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
    moods: Annotated[dict[MoodName, Mood], BeforeValidator(_with_ours)] = MOODS
    stories: Stories = Stories()
    queue: Queue = Queue()
    votes: Votes = Votes()
    privacy: Privacy = Privacy()
    duels: Duels = Duels()
    playground: Playground = Playground()
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
        _refuse_secrets(tables, path)
        _refuse_unknown_variables(cls)
        try:
            settings = cls(**tables)
        except ValidationError as error:
            lines = [_sentence(cls, details, path) for details in error.errors()]
            raise SettingsError("\n".join(lines)) from error
        if settings.stories.min_tokens > settings.stories.max_tokens:
            raise SettingsError(
                f"[stories] min_tokens takes at most max_tokens ({settings.stories.max_tokens}), "
                f"not {settings.stories.min_tokens}"
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
    except tomllib.TOMLDecodeError as error:
        raise SettingsError(f"{path} is not valid TOML: {error}") from error


def _refuse_secrets(tables: dict[str, Any], path: Path) -> None:
    """A secret in a file ends up in a repository sooner or later."""
    names = set(_names(tables))
    if names & {"token", "discord_token"}:
        raise SettingsError(
            f"{path} must not hold the bot's token: it is a secret. "
            "Remove it there and give it in the environment as DISCORD_TOKEN"
        )
    if "api_key" in names:
        raise SettingsError(
            f"{path} must not hold an api_key: it is a secret. Remove it there and give it in "
            f"the environment, as {PREFIX}GENERATOR__API_KEY or {PREFIX}MODELS__NAME__API_KEY"
        )


def _names(tables: dict[str, Any]) -> Iterator[str]:
    for name, value in tables.items():
        yield name.lower()
        if isinstance(value, dict):
            yield from _names(value)


def _refuse_unknown_variables(settings: type[BaseSettings]) -> None:
    sections = settings.model_fields.keys() - {"token"}
    for variable in sorted(os.environ):
        if not variable.upper().startswith(PREFIX):
            continue
        section, _, name = variable[len(PREFIX) :].lower().partition("__")
        if "token" in {section, name}:
            raise SettingsError(f"{variable} is not read: the token is given as DISCORD_TOKEN")
        if section not in sections | FOREIGN_SECTIONS or not name:
            raise SettingsError(
                f"{variable} is no setting: variables are {PREFIX}SECTION__NAME, "
                f"with a section of {', '.join(sorted(sections))}"
            )


def _sentence(settings: type[BaseSettings], details: ErrorDetails, path: Path) -> str:
    """One line that names the setting where it was given, and says what it takes."""
    section, *names = (str(part) for part in details["loc"])
    where = f"{path}: {section}"
    if names:
        variable = PREFIX + "__".join([section, *names]).upper()
        given = {name.upper() for name in os.environ}
        where = variable if variable in given else f"{path}: [{section}] {'.'.join(names)}"
    known = _fields(settings, [section, *names[:-1]]) if names else settings.model_fields
    name = names[-1] if names else section
    if details["type"] == "extra_forbidden":
        return f"{where} is no setting; there are: {', '.join(sorted(known.keys() - {'token'}))}"
    if name == "[key]":
        return f"{path}: [{section}.NAME] takes {_NAMED[section][1]}"
    takes = known[name].description if name in known else None
    # A mood, or a model, may be called like a setting: what it lacks is a table all the same.
    if takes is None or details["type"] == "model_type":
        return f"{where} takes a table of settings"
    if details["type"] == "missing":
        return f"{where} is missing: it takes {takes}"
    # An address may hold a password, and this line goes to a log.
    got = "" if name in {"url", "api_key"} else f", not {details['input']!r}"
    return f"{where} takes {takes}{got}"


_NAMED: dict[str, tuple[type[Section], str]] = {
    "models": (RemoteModel, "a name of 1 to 100 characters"),
    "moods": (Mood, "a name of 1 to 32 small letters, digits and hyphens"),
}
"""Sections that hold tables under names of the host's choice."""


def _fields(settings: type[BaseSettings], path: list[str]) -> dict[str, Any]:
    section = path[0]
    if section in _NAMED:
        return dict(_NAMED[section][0].model_fields)
    annotation = settings.model_fields[section].annotation
    return dict(annotation.model_fields) if isinstance(annotation, type(Section)) else {}
