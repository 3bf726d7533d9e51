"""The generator's settings: `[engine]` of config.toml, then the environment, then the command."""

from __future__ import annotations

import ipaddress
import tomllib
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, SecretStr, ValidationError
from pydantic_settings import (
    BaseSettings,
    PydanticBaseSettingsSource,
    SettingsConfigDict,
    SettingsError,
    TomlConfigSettingsSource,
)

if TYPE_CHECKING:
    from collections.abc import Mapping


class ConfigError(Exception):
    """A setting is wrong; the message names it and says what it takes."""


class EngineSettings(BaseModel):
    """`[engine]`: what the generator serves, where, and how much of it at once.

    Each title says what a setting is for, and each description what it takes: a wrong value is
    answered with that.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    host: str = Field(
        "127.0.0.1", min_length=1, title="where to listen", description="an address of this machine"
    )
    port: int = Field(
        8000, ge=0, le=65535, title="the same", description="a whole number from 0 (any) to 65535"
    )
    models: Path = Field(
        Path("models"), title="where the model folders are", description="a folder"
    )
    device: Literal["auto", "cpu", "cuda"] = Field(
        "auto", title="what computes", description="auto, cpu or cuda"
    )
    precision: Literal["auto", "float32", "bfloat16", "int8"] = Field(
        "auto", title="of the weights", description="auto, float32, bfloat16 or int8"
    )
    slots: int = Field(
        32,
        ge=1,
        le=1024,
        title="stories that a model tells together",
        description="a whole number from 1 to 1024",
    )
    context: int = Field(
        2048,
        ge=16,
        le=1_000_000,
        title="tokens of prompt and story that a slot has room for",
        description="a whole number from 16 to 1000000",
    )
    waiting: int = Field(
        64,
        ge=0,
        le=100_000,
        title="stories that may wait for a slot",
        description="a whole number from 0 to 100000",
    )
    threads: int = Field(
        0,
        ge=0,
        le=1024,
        title="CPU threads of a step",
        description="a whole number from 0 (measured) to 1024",
    )
    memory: float = Field(
        0,
        ge=0,
        title="what loaded models may take",
        description="a number of GiB, 0 for half of the machine's",
    )
    body_limit: int = Field(
        1024**2,
        ge=1024,
        le=1024**3,
        title="size of a request at most",
        description="a whole number of bytes from 1024 to 1073741824",
    )
    prompt_limit: int = Field(
        20_000,
        ge=1,
        le=10_000_000,
        title="length of a prompt at most",
        description="a whole number of characters from 1 to 10000000",
    )
    grace: float = Field(
        5,
        ge=0,
        le=3600,
        title="what running stories get to end when told to stop",
        description="a number of seconds from 0 to 3600",
    )
    api_keys: SecretStr = Field(
        SecretStr(""), title="whom to answer", description="bearer keys separated by commas"
    )

    def bearer_keys(self) -> list[bytes]:
        """The keys of which a client must show one; none: everybody may ask."""
        keys = self.api_keys.get_secret_value().split(",")
        # The environment may hold bytes that are no text, as a header may.
        return [key.strip().encode(errors="surrogateescape") for key in keys if key.strip()]

    @property
    def is_open(self) -> bool:
        """Whether other machines could reach it without a key."""
        return not self.bearer_keys() and not is_loopback(self.host)


def is_loopback(host: str) -> bool:
    """Whether an address, or the name `localhost`, is this machine's alone."""
    try:
        return host == "localhost" or ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False  # a name


def load_settings(
    overrides: Mapping[str, object], *, file: Path = Path("config.toml")
) -> EngineSettings:
    """Read the settings; `overrides` (from the command line) win over the environment and `file`.

    Raises:
        ConfigError: with one line for each setting that is wrong.
    """
    given: dict[str, Any] = {"engine": overrides} if overrides else {}
    try:
        engine = _read(file).get("engine") if file.exists() else None
        if isinstance(engine, dict) and "api_keys" in engine:
            raise ConfigError(
                f"{file} must not hold api_keys: they are secrets. Remove them there and give them "
                "in the environment, as KATARIBE_ENGINE__API_KEYS."
            )
        settings = _reader(file)(**given).engine
    except OSError as error:
        raise ConfigError(f"{file} cannot be read: {error.strerror}") from error
    except (SettingsError, RecursionError) as error:
        reason = error.__cause__ or error
        raise ConfigError(f"KATARIBE_ENGINE takes a JSON object: {reason}") from error
    except ValidationError as error:
        lines = (_sentence(dict(detail)) for detail in error.errors(include_url=False))
        raise ConfigError("\n".join(lines)) from error
    if settings.is_open:
        raise ConfigError(
            f"engine.host {settings.host} is open to others: give the keys that its clients show, "
            "as KATARIBE_ENGINE__API_KEYS, or take 127.0.0.1."
        )
    return settings


def _read(file: Path) -> dict[str, Any]:
    try:
        return tomllib.loads(file.read_text("utf-8"))
    except UnicodeDecodeError as error:
        raise ConfigError(f"{file} is not UTF-8 text (byte {error.start})") from error
    except (ValueError, RecursionError) as error:  # also of a number of 5,000 digits
        raise ConfigError(f"{file} is not valid TOML: {error}") from error


class _Settings(BaseSettings):
    """All of config.toml; only `[engine]` is the generator's business."""

    model_config = SettingsConfigDict(
        env_prefix="KATARIBE_", env_nested_delimiter="__", extra="ignore", frozen=True
    )

    engine: EngineSettings = EngineSettings()


def _reader(file: Path) -> type[_Settings]:
    """The settings class for one file: pydantic-settings takes the file from the class."""

    class Reader(_Settings):
        model_config = SettingsConfigDict(toml_file=file)

        @classmethod
        def settings_customise_sources(
            cls,
            settings_cls: type[BaseSettings],
            init_settings: PydanticBaseSettingsSource,
            env_settings: PydanticBaseSettingsSource,
            dotenv_settings: PydanticBaseSettingsSource,  # noqa: ARG003 (named by the library)
            file_secret_settings: PydanticBaseSettingsSource,  # noqa: ARG003 (the same)
        ) -> tuple[PydanticBaseSettingsSource, ...]:
            return init_settings, env_settings, TomlConfigSettingsSource(settings_cls)

    return Reader


def _sentence(detail: Mapping[str, Any]) -> str:
    name = ".".join(map(str, detail["loc"]))
    if name == "engine":
        return f"engine takes a table, [engine], not {detail['input']!r}."
    field = EngineSettings.model_fields.get(str(detail["loc"][-1]))
    if field is None:
        known = ", ".join(EngineSettings.model_fields)
        return f"{name} is no setting of the generator; [engine] has {known}."
    given = "" if name == "engine.api_keys" else f", not {detail['input']!r}"
    return (
        f"{name} takes {field.description}{given} "
        f"(config.toml, or KATARIBE_{name.upper().replace('.', '__')})."
    )
