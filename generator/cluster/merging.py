"""One answer of what every replica said for itself."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from http import HTTPStatus
from typing import TYPE_CHECKING

from prometheus_client.core import CollectorRegistry, Metric
from prometheus_client.exposition import generate_latest
from prometheus_client.parser import text_string_to_metric_families

from generator.server.protocol import Health, ModelCard, ModelList, Occupancy

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

_SILENT = "does not answer"


@dataclass(frozen=True, slots=True)
class Answer:
    """What a replica said, or all of them together."""

    replica: str
    """Who."""
    status: int = 0
    """0: nothing was said in time."""
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes = b""


class ClusterHealth(Health):
    """The answer of a cluster's `/health`."""

    replicas: dict[str, str]
    """How each is: ok, not ready, or that it does not answer."""


def merged(path: str, answers: Sequence[Answer]) -> Answer | None:
    """The answer for the client; None: nobody said anything.

    A model is loaded where one replica has it loaded, stories are summed, and measures say which
    replica's they are; of who says nothing only that is known. Where none could answer well, it is
    the first one's refusal.

    Args:
        path: what all were asked for.
        answers: one for each replica.
    """
    well = [answer for answer in answers if answer.status == HTTPStatus.OK]
    if not well:
        return next((answer for answer in answers if answer.status), None)
    bodies = [answer.body for answer in well]
    match path.split("/")[1:]:
        case ["health"]:
            body = _health(bodies, {one.replica: _state(one) for one in answers})
        case ["metrics"]:
            body = _measures(answers)
        case ["v1", "models"]:
            body = _list(bodies)
        case _:
            body = _card(map(ModelCard.model_validate_json, bodies)).model_dump_json().encode()
    return replace(well[0], replica="", body=body)


def _state(answer: Answer) -> str:
    if not answer.status:
        return _SILENT
    return "ok" if answer.status == HTTPStatus.OK else "not ready"


def _health(bodies: Iterable[bytes], replicas: dict[str, str]) -> bytes:
    models: dict[str, Occupancy] = {}
    for body in bodies:
        for name, one in Health.model_validate_json(body).models.items():
            sum_ = models.get(name, Occupancy(slots=0, slots_in_use=0, waiting=0))
            models[name] = Occupancy(
                slots=sum_.slots + one.slots,
                slots_in_use=sum_.slots_in_use + one.slots_in_use,
                waiting=sum_.waiting + one.waiting,
            )
    health = ClusterHealth(status="ok", models=models, replicas=replicas)
    return health.model_dump_json().encode()


def _list(bodies: Iterable[bytes]) -> bytes:
    cards: dict[str, list[ModelCard]] = {}
    for body in bodies:
        for card in ModelList.model_validate_json(body).data:
            cards.setdefault(card.id, []).append(card)
    return ModelList(data=[_card(of_one) for of_one in cards.values()]).model_dump_json().encode()


def _card(cards: Iterable[ModelCard]) -> ModelCard:
    """One of the same model's cards: a loaded one, if there is one."""
    return max(cards, key=lambda card: card.loaded)


def _measures(answers: Iterable[Answer]) -> bytes:
    up = Metric("kataribe_replica_up", "1: the replica answers.", "gauge")
    families = {up.name: up}
    for answer in answers:
        up.add_sample(up.name, {"replica": answer.replica}, answer.status == HTTPStatus.OK)
        if answer.status != HTTPStatus.OK:  # what it says then are no measures
            continue
        for family in text_string_to_metric_families(answer.body.decode()):
            whole = families.setdefault(
                family.name, Metric(family.name, family.documentation, family.type)
            )
            for sample in family.samples:
                labels = sample.labels | {"replica": answer.replica}
                whole.add_sample(sample.name, labels, sample.value)
    registry = CollectorRegistry()
    registry.register(_Families(families.values()))
    return generate_latest(registry)


class _Families:
    """Measures that were read elsewhere, as the library takes them."""

    def __init__(self, families: Iterable[Metric]) -> None:
        self._families = families

    def describe(self) -> Iterable[Metric]:
        return self._families

    def collect(self) -> Iterable[Metric]:
        return self._families
