"""The list of models: how long it is waited for, and what is found in it."""

from __future__ import annotations

import asyncio
import json
import logging
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

import pytest

from bot.config import RemoteModel, Stories
from bot.worker import catalogue
from bot.worker.catalogue import Catalogue, UnknownModelError
from bot.worker.completions import Completions, GeneratorDownError
from tests.bot.completions_servers import answering, client, listing, server
from tests.bot.village import LONG, PATIENCE

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from tests.bot.completions_servers import Handler
    from tests.bot.teller import Teller

NOWHERE = "http://127.0.0.1:9"


@asynccontextmanager
async def catalogue_of(
    models: Handler, *, default: str = "gpt2-starter", remote: str | None = None
) -> AsyncIterator[Catalogue]:
    far = {"far": RemoteModel(url=remote)} if remote else None
    async with (
        server(models=models) as url,
        client(url, settings=Stories(model=default), remote=far) as completions,
    ):
        yield Catalogue(completions)


async def test_a_models_languages_are_those_that_our_own_generator_says() -> None:
    said = [
        {"id": "ours", "owned_by": "kataribe", "languages": ["en"]},
        {"id": "silent", "owned_by": "kataribe"},
        {"id": "odd", "owned_by": "kataribe", "languages": {"en": 1}},
        {"id": "odder", "owned_by": "kataribe", "languages": ["en", 7, None]},
        {"id": "theirs", "owned_by": "vllm", "languages": ["en"]},
    ]
    async with catalogue_of(answering(200, json.dumps({"data": said}))) as models:
        assert models.languages("ours") == ()  # nobody has asked yet
        assert len(await models.models()) == len(said)
        known = {name: models.languages(name) for name in await models.models()}
    assert known == {"ours": ("en",), "silent": (), "odd": (), "odder": ("en",), "theirs": ()}


async def test_a_question_that_stays_open_is_waited_for_once(
    tells: Teller, monkeypatch: pytest.MonkeyPatch
) -> None:
    answered = asyncio.Event()

    class Slow(Completions):
        async def served(self) -> list[str]:
            await answered.wait()
            return await super().served()

    async with Slow(tells.url, Stories(), request_timeout=60) as completions:
        models = Catalogue(completions)
        monkeypatch.setattr(catalogue, "PATIENCE", 0.01)
        with pytest.raises(GeneratorDownError):
            await models.models()
        monkeypatch.setattr(catalogue, "PATIENCE", LONG)
        async with asyncio.timeout(PATIENCE):
            with pytest.raises(GeneratorDownError):
                await models.find("gpt2-starter")
            answered.set()
            await models.refresh()
            assert await models.models() == tells.models


async def test_one_dead_server_hides_no_other() -> None:
    async with catalogue_of(listing("a", "far", "b"), remote=NOWHERE) as models:
        assert await models.models() == ("a", "far", "b")
    async with catalogue_of(answering(503), remote=NOWHERE) as models:
        assert await models.models() == ("far",)
        assert models.down
        assert await models.find("Far") == "far"
        # Nobody can say that it is not one of the generator's.
        with pytest.raises(GeneratorDownError):
            await models.find("a")


async def test_while_nobody_knows_where_the_generator_is_it_is_down(tells: Teller) -> None:
    async with Completions(tells.url, Stories(), request_timeout=60) as completions:
        models = Catalogue(completions)
        await models.models()
        down = [models.down]
        completions.url = None  # it died, and is being started again
        down.append(models.down)
        assert await models.models() == tells.models
        completions.url = tells.url
        await models.refresh()
        assert [*down, models.down] == [False, True, False]


async def test_a_generator_that_does_not_answer_is_logged_once(
    caplog: pytest.LogCaptureFixture,
) -> None:
    async with catalogue_of(answering(503)) as models:
        for _ in range(2):
            await models.refresh()
    assert [record.levelname for record in caplog.records] == ["WARNING"]


@pytest.mark.parametrize("name", ["GPT2-Starter", "gpt2-starter ", " gpt2-STARTER"])
async def test_a_name_is_found_in_any_case_and_with_spaces_around(name: str) -> None:
    async with catalogue_of(listing("other", "GPT2-Starter", "gpt2-starter")) as models:
        exact = name.strip() if name.strip() == "gpt2-starter" else "GPT2-Starter"
        assert await models.find(name) == exact
        with pytest.raises(UnknownModelError):
            await models.find("starter")


async def test_where_nobody_has_the_hosts_choice_the_first_tells_and_the_host_hears_it_once(
    caplog: pytest.LogCaptureFixture,
) -> None:
    async with catalogue_of(listing("a", "b"), default="nosuch") as models:
        for _ in range(2):
            models.unanswered = True  # so that it is asked again
            await models.refresh()
        assert await models.default() == "a"
    (said,) = (record.getMessage() for record in caplog.records)
    assert said == (
        "Nobody has [stories] model 'nosuch': 'a' tells instead. There are, among others: a, b"
    )


async def test_the_hosts_choice_is_written_as_the_server_does(
    caplog: pytest.LogCaptureFixture,
) -> None:
    async with catalogue_of(listing("a", "GPT2-starter")) as models:
        assert await models.default() == "GPT2-starter"
    async with catalogue_of(answering(200, "{}"), default="nosuch") as models:
        assert await models.default() == "nosuch"  # nobody knows better
    assert "Nobody has" not in caplog.text


@pytest.mark.parametrize(("url", "level"), [(None, logging.INFO), (NOWHERE, logging.WARNING)])
async def test_a_generator_that_starts_is_no_reason_to_warn(
    url: str | None, level: int, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    async with client(url) as completions:
        await Catalogue(completions).refresh()
    (said,) = [line for line in caplog.records if line.name == catalogue.__name__]
    assert said.levelno == level
