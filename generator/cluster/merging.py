"""One answer of what every replica said for itself."""

from __future__ import annotations

from http import HTTPStatus
from typing import TYPE_CHECKING

from prometheus_client.core import CollectorRegistry, Metric
from prometheus_client.exposition import generate_latest
from prometheus_client.parser import text_string_to_metric_families

from generator.cluster.wire import Answer
from generator.server.protocol import Health, ModelCard, ModelList, Occupancy

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from generator.cluster.wire import Request


def merged(request: Request, answers: Sequence[Answer]) -> Answer:
    """The answer for the client.

    A model is loaded where one replica has it loaded, stories are summed, and measures say which
    replica's they are. Where none could answer well, it is the first one's refusal.

    Args:
        request: what all were asked.
        answers: at least one.
    """
    well = [answer for answer in answers if answer.head.status == HTTPStatus.OK]
    if not well:
        return answers[0]
    bodies = [answer.body for answer in well]
    match request.target.partition("?")[0].split("/")[1:]:
        case ["health"]:
            body = _health(bodies)
        case ["metrics"]:
            body = _measures(well)
        case ["v1", "models"]:
            body = _list(bodies)
        case _:
            body = _card(map(ModelCard.model_validate_json, bodies)).model_dump_json().encode()
    return Answer(replica="", head=well[0].head, body=body)


def _health(bodies: Iterable[bytes]) -> bytes:
    models: dict[str, Occupancy] = {}
    for body in bodies:
        for name, one in Health.model_validate_json(body).models.items():
            sum_ = models.get(name, Occupancy(slots=0, slots_in_use=0, waiting=0))
            models[name] = Occupancy(
                slots=sum_.slots + one.slots,
                slots_in_use=sum_.slots_in_use + one.slots_in_use,
                waiting=sum_.waiting + one.waiting,
            )
    return Health(status="ok", models=models).model_dump_json().encode()


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
    families: dict[str, Metric] = {}
    for answer in answers:
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
