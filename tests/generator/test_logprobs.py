"""Log probabilities and what is chosen by them, asked by OpenAI's own client."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import openai
import pytest
import torch

from generator.engine.loop import Engine
from generator.engine.scheduler import PREFILL
from generator.models.loading import load_model
from generator.sampling.requests import Request
from generator.sampling.settings import Sampling
from tests.generator.small_folders import save_gpt2, save_lstm
from tests.generator.small_models import byte_level_tokenizer

if TYPE_CHECKING:
    from pathlib import Path

    from openai.types import CompletionChoice
    from openai.types.completion_choice import Logprobs

    from generator.models.choosing import Precision
    from generator.models.loading import LoadedModel

pytestmark = pytest.mark.asyncio(loop_scope="module")

ASKED: dict[str, Any] = {
    "model": "lstm-small",
    "prompt": "In the year",
    "max_tokens": 40,
    "seed": 7,
    "extra_body": {"ignore_eos": True, "finish_sentence": False},
}


def table(loaded: LoadedModel, tokens: list[int]) -> torch.Tensor:
    """Log probabilities after each token, as transformers has them."""
    with torch.inference_mode():
        return loaded.model(input_ids=torch.tensor([tokens])).logits[0].log_softmax(1)  # type: ignore[no-any-return]


def of(choice: CompletionChoice) -> Logprobs:
    assert choice.logprobs is not None
    return choice.logprobs


@pytest.mark.parametrize("save", [save_gpt2, save_lstm])
async def test_log_probabilities_are_the_models_own_of_prompt_and_story(
    tmp_path: Path, save: Any, precision: Precision
) -> None:
    """Whatever rules it is drawn by, and whoever is told beside it."""
    loaded = load_model(save(tmp_path / "teller"), precision=precision)
    prompt = tuple(range(1, PREFILL + 31))
    rules = Sampling(temperature=0.5, top_k=3, frequency_penalty=1.0, repetition_penalty=1.3)
    request = Request(
        prompt=prompt, sampling=rules, seed=5, max_tokens=12, logprobs=2, prompt_logprobs=True
    )
    silent = replace(request, logprobs=None, prompt_logprobs=False, min_tokens=12)
    only_story = replace(request, prompt=prompt[:9], prompt_logprobs=False)
    only_prompt = replace(request, prompt=prompt[:1], max_tokens=0)
    requests = [silent, request, only_story, only_prompt, replace(request, max_tokens=0)]
    async with Engine(loaded, slots=4) as engine:
        generations = [engine.submit(one) for one in requests]
        stories = await asyncio.gather(*(_tokens(one) for one in generations))
        alone = engine.submit(request)
        assert await _tokens(alone) == stories[1]
    assert generations[0].logprobs == []
    assert stories[3:] == [[], []]
    assert generations[4].finish_reason == "length"
    for generation, story in zip(generations[1:], stories[1:], strict=True):
        asked = generation.request
        whole = [*asked.prompt, *story]
        first = 1 if asked.prompt_logprobs else len(asked.prompt)
        after = table(loaded, whole)[first - 1 :]
        told = whole[first:]
        entries = generation.logprobs[: len(told)]
        if asked.max_tokens:
            assert len(generation.logprobs) == len(told) + (generation.finish_reason == "stop")
        assert [entry.token for entry in entries] == told
        near = 1e-4 if precision == "float32" else 0.5
        for entry, row in zip(entries, after, strict=False):
            assert entry.logprob == pytest.approx(float(row[entry.token]), abs=near)
            likeliest = row.topk(2).values.tolist()
            assert [value for _, value in entry.likeliest] == pytest.approx(likeliest, abs=near)


async def _tokens(generation: Any) -> list[int]:
    return [token async for tokens in generation for token in tokens]


async def test_openais_four_columns_are_of_the_text(api: openai.AsyncOpenAI) -> None:
    plain = await api.completions.create(**ASKED)
    for count in range(6):
        answer = await api.completions.create(**ASKED, logprobs=count)
        choice = answer.choices[0]
        columns = of(choice)
        assert choice.text == plain.choices[0].text
        assert answer.usage == plain.usage
        assert columns.tokens
        assert columns.token_logprobs
        assert columns.text_offset
        assert len(columns.tokens) == len(columns.token_logprobs) == 40
        assert columns.text_offset[0] == 0
        assert max(columns.token_logprobs) <= 0
        for token, offset in zip(columns.tokens, columns.text_offset, strict=True):
            if token.isascii():
                assert choice.text.startswith(token, offset)
        if not count:
            assert columns.top_logprobs is None
            continue
        assert columns.top_logprobs
        rows = zip(columns.tokens, columns.token_logprobs, columns.top_logprobs, strict=True)
        for token, logprob, top in rows:
            assert top[token] == logprob
            assert count <= len(top) <= count + 1
            assert max(top.values()) >= logprob


async def test_nobody_who_did_not_ask_is_told_log_probabilities(api: openai.AsyncOpenAI) -> None:
    answers = [await api.completions.create(**ASKED | {"best_of": many}) for many in (1, 2)]
    assert [answer.choices[0].logprobs for answer in answers] == [None, None]


@pytest.mark.parametrize("more", [{}, {"echo": True}, {"stop": ["a"]}, {"echo": True, "n": 2}])
async def test_streamed_log_probabilities_are_those_of_the_whole(
    api: openai.AsyncOpenAI, more: dict[str, Any]
) -> None:
    asked = ASKED | more | {"logprobs": 1, "extra_body": {"finish_sentence": True}}
    whole = await api.completions.create(**asked)
    texts = [""] * len(whole.choices)
    columns: list[dict[str, list[Any]]] = [
        {"tokens": [], "token_logprobs": [], "top_logprobs": [], "text_offset": []} for _ in texts
    ]
    async for chunk in await api.completions.create(**asked, stream=True):
        (choice,) = chunk.choices
        texts[choice.index] += choice.text
        for name, column in columns[choice.index].items():
            column.extend(getattr(of(choice), name))
        offsets = columns[choice.index]["text_offset"]
        assert all(offset < len(texts[choice.index]) for offset in offsets)
    assert texts == [choice.text for choice in whole.choices]
    assert columns == [of(choice).model_dump() for choice in whole.choices]


@pytest.mark.parametrize("model", ["gpt2-small", "lstm-small"])
async def test_a_prompt_alone_is_measured_as_evaluation_harnesses_ask(
    api: openai.AsyncOpenAI, models: Path, model: str
) -> None:
    prompts = ["In the year 1990 a young man came to the school.", "night", "語り部"]
    answer = await api.completions.create(
        model=model, prompt=prompts, max_tokens=0, echo=True, logprobs=1, temperature=0
    )
    loaded = load_model(models / model, precision="float32")
    assert [choice.text for choice in answer.choices] == prompts
    assert answer.usage
    assert answer.usage.completion_tokens == 0
    for prompt, choice in zip(prompts, answer.choices, strict=True):
        ids = byte_level_tokenizer().encode(prompt).ids
        columns = of(choice)
        assert choice.finish_reason == "length"
        assert columns.token_logprobs
        assert columns.top_logprobs
        assert len(columns.tokens or ()) == len(ids)
        first: list[object] = [columns.token_logprobs[0], columns.top_logprobs[0]]
        assert first == [None, None]
        expected = table(loaded, ids)[:-1].gather(1, torch.tensor(ids[1:])[:, None])[:, 0]
        assert columns.token_logprobs[1:] == pytest.approx(expected.tolist(), abs=0.5)
        if prompt.isascii():
            assert "".join(columns.tokens or ()) == prompt
            ends = [*(columns.text_offset or ())[1:], len(prompt)]
            spans = zip(columns.text_offset or (), ends, strict=True)
            assert [prompt[begin:end] for begin, end in spans] == columns.tokens


async def test_nothing_at_all_may_be_asked_for(api: openai.AsyncOpenAI) -> None:
    answer = await api.completions.create(model="lstm-small", prompt="In", max_tokens=0)
    assert (answer.choices[0].text, answer.choices[0].finish_reason) == ("", "length")


async def test_the_likeliest_of_the_candidates_is_answered(api: openai.AsyncOpenAI) -> None:
    asked = ASKED | {"prompt": ["In the year", "night"]}
    every = await api.completions.create(**asked, n=3, logprobs=0)

    def mean(choice: CompletionChoice) -> float:
        values: list[float] = of(choice).token_logprobs or []
        return sum(values) / len(values)

    assert {choice.finish_reason for choice in every.choices} == {"length"}
    for best in (1, 2):
        expected = [
            choice
            for first in (0, 3)
            for choice in sorted(every.choices[first : first + 3], key=mean)[: -best - 1 : -1]
        ]
        answer = await api.completions.create(**asked, n=best, best_of=3)
        assert [choice.text for choice in answer.choices] == [one.text for one in expected]
        assert [choice.index for choice in answer.choices] == list(range(2 * best))
        assert answer.usage == every.usage  # all of them were told
    stream = await api.completions.create(**asked, n=1, best_of=1, stream=True)
    assert [chunk async for chunk in stream]


@pytest.mark.parametrize("more", [{"logprobs": 0}, {"best_of": 2}])
async def test_beams_have_no_log_probabilities(
    api: openai.AsyncOpenAI, more: dict[str, Any]
) -> None:
    with pytest.raises(openai.BadRequestError, match="set num_beams to 1") as caught:
        await api.completions.create(**ASKED | {"extra_body": {"num_beams": 2}} | more)
    assert caught.value.param == next(iter(more))
