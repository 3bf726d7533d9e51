"""How a model's stories are drawn, as its folder says it."""

from __future__ import annotations

import tomllib
from typing import TYPE_CHECKING, Annotated, Self

from pydantic import Field, ValidationError

from generator.sampling.settings import MaxTokens, StorySettings
from generator.sampling.settings import Sampling as Settings
from training.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Iterable

    from transformers import GenerationConfig


class Sampling(StorySettings):
    """Goes into the folder's generation_config.json, and is drawn: no temperature is 0."""

    temperature: Annotated[
        float, Field(gt=0, le=1e6, description="a number from 0 to 1000000, 0 left out")
    ]
    max_new_tokens: MaxTokens = 300

    @classmethod
    def of(cls, published: GenerationConfig) -> Self:
        """From a folder's generation_config.json; what it leaves out is off."""
        given = {name: getattr(published, name, None) for name in cls.model_fields}
        values = {name: value for name, value in given.items() if value is not None}
        return cls.model_validate({"temperature": 1.0, **values})

    def request(self) -> Settings:
        """As the generator's sampler takes them."""
        return Settings(**self.model_dump(include=set(Settings.model_fields)))

    def but(self, settings: Iterable[str], option: str = "--set") -> Self:
        """With other values for some, each as `name=value`.

        Args:
            settings: as they were typed.
            option: of the command line, behind which they were.

        Raises:
            InputError: there is no such setting, or it cannot have this value.
        """
        values = self.model_dump()
        try:
            for setting in settings:
                values.update(tomllib.loads(setting))
            return self.model_validate(values)
        except tomllib.TOMLDecodeError as error:
            raise InputError(f"{option} {setting}: write it as name=value.") from error
        except ValidationError as error:
            first = error.errors()[0]
            raise InputError(f"{option} {first['loc'][0]}: {first['msg']}.") from error
