"""How a model's stories are drawn, as its folder says it."""

from __future__ import annotations

import tomllib
from typing import TYPE_CHECKING, Annotated, Self

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from generator.sampling.requests import Sampling as Settings
from training.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Iterable

    from transformers import GenerationConfig


class Sampling(BaseModel):
    """Goes into the folder's generation_config.json."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    temperature: Annotated[float, Field(gt=0)]
    top_k: Annotated[int, Field(ge=0)] = 0
    top_p: Annotated[float, Field(gt=0, le=1)] = 1.0
    repetition_penalty: Annotated[float, Field(gt=0)] = 1.0
    no_repeat_ngram_size: Annotated[int, Field(ge=0)] = 0
    min_new_tokens: Annotated[int, Field(ge=0)] = 0
    max_new_tokens: Annotated[int, Field(gt=0)] = 300
    num_beams: Annotated[int, Field(gt=0)] = 1
    memfree: bool = False
    """Stories copy no passage of the training texts, whose n-grams the folder holds for that."""

    @classmethod
    def of(cls, published: GenerationConfig) -> Self:
        """From a folder's generation_config.json; what it leaves out is off."""
        given = {name: getattr(published, name, None) for name in cls.model_fields}
        values = {name: value for name, value in given.items() if value is not None}
        return cls.model_validate({"temperature": 1.0, **values})

    def request(self) -> Settings:
        """As the generator's sampler takes them."""
        return Settings(
            temperature=self.temperature,
            top_k=self.top_k,
            top_p=self.top_p,
            repetition_penalty=self.repetition_penalty,
            no_repeat_ngram_size=self.no_repeat_ngram_size,
            memfree=self.memfree,
        )

    def but(self, settings: Iterable[str]) -> Self:
        """With other values for some, each as `name=value`.

        Raises:
            InputError: there is no such setting, or it cannot have this value.
        """
        values = self.model_dump()
        try:
            for setting in settings:
                values.update(tomllib.loads(setting))
            return self.model_validate(values)
        except tomllib.TOMLDecodeError as error:
            raise InputError(f"--set {setting}: write it as name=value.") from error
        except ValidationError as error:
            first = error.errors()[0]
            raise InputError(f"--set {first['loc'][0]}: {first['msg']}.") from error
