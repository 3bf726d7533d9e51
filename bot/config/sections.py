"""The tables of `config.toml`: every setting with its default, its bounds and what it takes."""

from __future__ import annotations

import ipaddress
from typing import Annotated, Any, Literal

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    PlainSerializer,
    PlainValidator,
    SecretStr,
    StringConstraints,
)
from sqlalchemy.engine import make_url
from sqlalchemy.exc import ArgumentError

from bot.config.shards import MOST, Shards


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


LARGEST_PORT = 65_535
DATABASE_URLS = "sqlite+aiosqlite:///FILE or postgresql+asyncpg://USER:PASSWORD@HOST/NAME"
"""What `database_url` takes, for people."""


def _without_slash(url: str) -> str:
    return url.rstrip("/")


def database_url(url: str) -> str:
    """Take a database's URL as it is.

    Raises:
        ValueError: It is none, or of a kind that Kataribe does not speak to.
    """
    try:
        parsed = make_url(url)
    except (ArgumentError, ValueError) as error:  # the second: its port is no number
        raise ValueError("not a database URL") from error
    if parsed.drivername not in {"sqlite+aiosqlite", "postgresql+asyncpg"}:
        raise ValueError("not a database that Kataribe speaks to")
    if parsed.port is not None and not 1 <= parsed.port <= LARGEST_PORT:
        raise ValueError("not a port")
    return url


def _pooler(url: str) -> str:
    if url and database_url(url).startswith("sqlite"):
        raise ValueError("not an address of PostgreSQL")
    return url


def _key(key: SecretStr | None) -> SecretStr | None:
    """What an HTTP header can hold; nothing is no key."""
    said = key.get_secret_value().strip() if key else ""
    if not (said.isascii() and said.isprintable()):
        raise ValueError("not a key")
    return SecretStr(said) if said else None


def is_loopback(host: str) -> bool:
    """Whether an address, or the name `localhost`, is this machine's alone."""
    try:
        return host == "localhost" or ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False  # a name


def _loopback(host: str) -> str:
    if not is_loopback(host):
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
    shards: Annotated[
        Shards | None,
        PlainValidator(Shards.read),
        PlainSerializer(lambda some: str(some or "all")),
    ] = Field(
        None,
        description=f"all, or some of up to {MOST} such as 0-3/16",
    )


class Database(Section):
    """Where everything is kept."""

    url: Annotated[str, AfterValidator(database_url)] = Field(
        "sqlite+aiosqlite:///kataribe.db",
        repr=False,  # it may hold a password
        description=DATABASE_URLS,
    )
    pooler: Annotated[str, AfterValidator(_pooler)] = Field(
        "",
        repr=False,
        description="postgresql+asyncpg://USER:PASSWORD@HOST:6432/NAME, or nothing",
    )
    """A pooler before the same database; what needs a session of its own goes by `url`."""


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
    min_p: float | None = _number(None, low=0, high=1)
    repetition_penalty: float | None = _number(None, low=0.5, high=5)
    no_repeat_ngram_size: int | None = _whole(None, low=0, high=100)


class Mood(Sampling):
    """A named way to draw words, which members choose; what it leaves out is the model's own."""

    num_beams: int | None = _whole(None, low=1, high=16)


MOODS = {
    "calm": Mood(temperature=0.6, top_p=0.9),
    "lively": Mood(temperature=0.9, top_p=0.95),
    # Without min_p a tenth of a starter's words at this temperature are no words at all.
    "wild": Mood(temperature=1.2, top_p=0.98, min_p=0.02),
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


def with_ours(moods: object) -> object:
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
    memory: int = _whole(400, low=0, high=20_000)
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
    keep_stories: float = _number(0, low=0, high=36_500)
    keep_trail: float = _number(0, low=0, high=36_500)


class Duels(Section):
    """How long members vote on which of two models told a beginning better."""

    lasts: float = _seconds(3600, low=10, high=604_800)
    votes: int = _whole(0, low=0, high=100_000)


class Playground(Section):
    """The local stand-in for Discord; loopback only, since everyone who opens it is let in."""

    host: Annotated[str, AfterValidator(_loopback)] = Field(
        "127.0.0.1", description="a loopback address: 127.0.0.1, ::1 or localhost"
    )
    port: int = _whole(8888, low=0, high=LARGEST_PORT)


class Health(Server):
    """Where others may ask how the bot is."""

    host: str = Field("127.0.0.1", pattern=r"^\S+$", description="an address of this machine")
    port: int | None = _whole(None, low=0, high=LARGEST_PORT)

    @property
    def is_open(self) -> bool:
        """Whether other machines could read it without a key."""
        return self.port is not None and self.api_key is None and not is_loopback(self.host)


class Log(Section):
    """What is written to standard error."""

    format: Literal["text", "json"] = Field("text", description="text or json")

    level: Annotated[Literal["DEBUG", "INFO", "WARNING", "ERROR"], BeforeValidator(_upper)] = Field(
        "INFO", description="debug, info, warning or error"
    )
