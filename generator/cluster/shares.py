"""How a cluster's cores, GPUs and memory are shared among replicas."""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import TYPE_CHECKING

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from generator.config import ConfigError, EngineSettings

if TYPE_CHECKING:
    from collections.abc import Mapping

MOST_BY_ITSELF = 8
"""Replicas on one machine's cores where nobody says how many; more cores then are their threads."""
GIB = 1024**3
NO_KEYS = (
    "Other machines could ask this generator: give the keys that its clients show, as "
    "KATARIBE_ENGINE__API_KEYS."
)
"""Why a cluster of several machines is not started without them."""


class ClusterSettings(BaseModel):
    """How many replicas there are, and what each gets; titles and descriptions as in `[engine]`."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    replicas: int = Field(
        0,
        ge=0,
        le=10_000,
        title="generators that run",
        description="a whole number from 0 (as many as cores or GPUs allow) to 10000",
    )
    max_replicas: int = Field(
        0,
        ge=0,
        le=10_000,
        title="as many while the lines are long",
        description="a whole number from 0 (no more than replicas) to 10000",
    )
    cores: int = Field(
        0,
        ge=0,
        le=1024,
        title="CPU cores of a replica",
        description="a whole number from 0 (what there is, shared) to 1024",
    )
    gpus: float = Field(
        0,
        ge=0,
        le=1,
        title="GPU of a replica",
        description="a part from 0 (one each, where there are any) to 1",
    )
    drain: float = Field(
        120,
        ge=0,
        le=3600,
        title="what the stories of a replica that has to leave get to end",
        description="a number of seconds from 0 to 3600",
    )

    @classmethod
    def checked(cls, given: Mapping[str, object]) -> ClusterSettings:
        """Read what somebody gave.

        Raises:
            ConfigError: with one line for each that is wrong.
        """
        try:
            settings = cls.model_validate(given)
        except ValidationError as error:
            raise ConfigError("\n".join(map(_sentence, error.errors(include_url=False)))) from error
        if 0 < settings.max_replicas < settings.replicas:
            raise ConfigError(
                f"max_replicas takes a number from replicas ({settings.replicas}) on, or 0, not "
                f"{settings.max_replicas}."
            )
        return settings


@dataclass(frozen=True, slots=True)
class Share:
    """What is deployed."""

    engine: EngineSettings
    """Of each replica."""
    replicas: int
    max_replicas: int
    cores: int
    gpus: float
    drain: float
    """Seconds."""


def shared(
    cluster: ClusterSettings,
    engine: EngineSettings,
    *,
    cores: int,
    gpus: int,
    one_machine: bool,
) -> Share:
    """Fit replicas to what there is.

    Args:
        cluster: what is wished; zeros are filled in.
        engine: the same, of each replica.
        cores: all that there are.
        gpus: the same.
        one_machine: whether they are one machine's, whose memory is then shared too.
    """
    on_gpus = engine.device == "cuda" or (engine.device == "auto" and gpus > 0)
    gpu = (cluster.gpus or 1.0) if on_gpus else 0.0
    if on_gpus:
        fitting = int(gpus / gpu)
    else:
        fitting = cores // cluster.cores if cluster.cores else min(cores, MOST_BY_ITSELF)
    replicas = cluster.replicas or cluster.max_replicas or max(1, fitting)
    most = cluster.max_replicas or replicas
    each = cluster.cores or max(1, cores // most)
    changes: dict[str, object] = {"threads": engine.threads or each}
    if one_machine and not on_gpus and not engine.memory:
        whole = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
        changes["memory"] = whole / 2 / GIB / most
    return Share(
        engine=engine.model_copy(update=changes),
        replicas=replicas,
        max_replicas=most,
        cores=each if each * most <= cores or not one_machine else 0,
        gpus=gpu,
        drain=cluster.drain,
    )


def _sentence(detail: Mapping[str, object]) -> str:
    place = detail["loc"]
    name = str(place[0]) if isinstance(place, tuple) and place else "cluster"
    field = ClusterSettings.model_fields.get(name)
    if field is None:
        known = ", ".join(ClusterSettings.model_fields)
        return f"{name} is no setting of a cluster; there are {known}."
    return f"{name} takes {field.description}, not {detail['input']!r}."
