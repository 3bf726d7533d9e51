"""What the completions API tells, asked by OpenAI's own client."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import openai
import pytest

from tests.generator.running import client, running
from tests.generator.small_folders import save_gpt2
from tests.generator.small_models import byte_level_tokenizer

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.asyncio(loop_scope="module")


@pytest.mark.parametrize("model", ["gpt2-small", "lstm-small"])
async def test_a_streamed_story_is_the_whole_story(api: openai.AsyncOpenAI, model: str) -> None:
    asked: dict[str, Any] = {
        "model": model,
        "prompt": "In the year",
        "max_tokens": 60,
        "seed": 7,
        "temperature": 1,
    }
    whole = await api.completions.create(**asked)
    stream = await api.completions.create(
        **asked, stream=True, stream_options={"include_usage": True}
    )
    chunks = [chunk async for chunk in stream]
    told = [chunk.choices[0] for chunk in chunks if chunk.choices]
    assert "".join(choice.text for choice in told) == whole.choices[0].text
    assert [choice.finish_reason for choice in told[:-1]] == [None] * (len(told) - 1)
    assert told[-1].finish_reason == whole.choices[0].finish_reason
    assert not chunks[-1].choices
    assert chunks[-1].usage == whole.usage
    assert {chunk.id for chunk in chunks} == {chunks[0].id}


async def test_the_seed_that_was_drawn_tells_the_same_story_again(api: openai.AsyncOpenAI) -> None:
    asked: dict[str, Any] = {"model": "lstm-small", "prompt": "In", "max_tokens": 30}
    first, other = [await api.completions.create(**asked) for _ in range(2)]
    assert first.model_extra
    again = await api.completions.create(**asked, seed=first.model_extra["seed"])
    assert again.choices[0].text == first.choices[0].text
    assert other.choices[0].text != first.choices[0].text


async def test_each_of_n_stories_of_each_prompt_is_its_own(api: openai.AsyncOpenAI) -> None:
    answer = await api.completions.create(
        model="lstm-small",
        prompt=["In the year", "a young man"],
        n=2,
        seed=5,
        max_tokens=20,
        echo=True,
    )
    texts = [choice.text for choice in answer.choices]
    assert [choice.index for choice in answer.choices] == [0, 1, 2, 3]
    assert [text.startswith("In the year") for text in texts] == [True, True, False, False]
    assert len(set(texts)) == 4
    alone = await api.completions.create(
        model="lstm-small", prompt="a young man", seed=8, max_tokens=20, echo=True
    )
    assert alone.choices[0].text == texts[3]
    assert answer.usage
    assert answer.usage.prompt_tokens == sum(
        len(byte_level_tokenizer().encode(text).ids) for text in ["In the year", "a young man"]
    )


async def test_several_stories_stream_side_by_side(api: openai.AsyncOpenAI) -> None:
    asked: dict[str, Any] = {"model": "lstm-small", "prompt": "In", "n": 3, "seed": 1}
    whole = await api.completions.create(**asked)
    texts = ["", "", ""]
    async for chunk in await api.completions.create(**asked, stream=True):
        texts[chunk.choices[0].index] += chunk.choices[0].text
    assert texts == [choice.text for choice in whole.choices]


async def test_a_typed_control_token_is_told_as_its_letters(api: openai.AsyncOpenAI) -> None:
    prompt = "In the year<|endoftext|>"
    answer = await api.completions.create(
        model="gpt2-small", prompt=prompt, max_tokens=12, seed=1, temperature=0, echo=True
    )
    assert answer.choices[0].text.startswith(prompt)
    assert answer.usage
    assert answer.usage.prompt_tokens > len(byte_level_tokenizer().encode(prompt).ids)


async def test_obfuscation_may_be_asked_for_or_not(api: openai.AsyncOpenAI) -> None:
    for wanted in (False, True):
        options: Any = {"include_usage": True, "include_obfuscation": wanted}
        stream = await api.completions.create(
            model="lstm-small", prompt="In", max_tokens=3, stream=True, stream_options=options
        )
        assert [chunk async for chunk in stream][-1].usage


async def test_a_story_goes_on_where_its_end_is_ignored(api: openai.AsyncOpenAI) -> None:
    asked: dict[str, Any] = {"model": "gpt2-small", "prompt": "In the year", "temperature": 1.9}
    ended = [await api.completions.create(**asked, max_tokens=400, seed=seed) for seed in range(4)]
    assert "stop" in [answer.choices[0].finish_reason for answer in ended]
    for seed in range(4):
        answer = await api.completions.create(
            **asked, max_tokens=400, seed=seed, extra_body={"ignore_eos": True}
        )
        assert answer.usage
        assert answer.choices[0].finish_reason == "length"
        assert answer.usage.completion_tokens == 400


async def test_minus_one_asks_for_any_seed(api: openai.AsyncOpenAI) -> None:
    answers = [
        await api.completions.create(
            model="lstm-small", prompt="In", max_tokens=30, seed=-1, extra_body={"top_k": -1}
        )
        for _ in range(2)
    ]
    assert answers[0].choices[0].text != answers[1].choices[0].text


async def test_all_forms_of_a_prompt_are_understood(api: openai.AsyncOpenAI) -> None:
    ids = byte_level_tokenizer().encode("In the year").ids
    forms: list[Any] = ["In the year", ["In the year"], ids, [ids]]
    answers = [
        await api.completions.create(model="lstm-small", prompt=form, seed=3, echo=True)
        for form in forms
    ]
    assert len({answer.choices[0].text for answer in answers}) == 1


async def test_an_empty_prompt_begins_from_nothing(api: openai.AsyncOpenAI) -> None:
    forms: list[Any] = ["", [[]]]
    for form in forms:
        answer = await api.completions.create(
            model="lstm-small", prompt=form, seed=3, extra_body={"min_tokens": 9}
        )
        assert answer.usage
        assert answer.usage.prompt_tokens == 1
        assert answer.choices[0].text


async def test_what_is_left_out_is_the_models_own_default(api: openai.AsyncOpenAI) -> None:
    answers = [
        await api.completions.create(
            model="gpt2-small", prompt="In the year", extra_body={"finish_sentence": False}
        )
        for _ in range(2)
    ]
    assert answers[0].usage
    assert answers[0].usage.completion_tokens == 7
    assert answers[0].choices[0].text == answers[1].choices[0].text  # its temperature is 0


async def test_a_stop_string_ends_a_story_and_is_not_shown(api: openai.AsyncOpenAI) -> None:
    asked: dict[str, Any] = {"model": "lstm-small", "prompt": "In", "seed": 2, "max_tokens": 60}
    full = (await api.completions.create(**asked)).choices[0].text
    stop = full[10:13]
    answer = await api.completions.create(**asked, stop=[stop, "\0never"])
    assert answer.choices[0].text == full[: full.index(stop)]
    assert answer.choices[0].finish_reason == "stop"


async def test_a_story_does_not_go_on_with_the_prompts_last_word(api: openai.AsyncOpenAI) -> None:
    async def first_letters(prompt: str, *, begin_word: bool, num_beams: int = 1) -> list[str]:
        # A few at a time: the server is small, and a story before may still be leaving it.
        answers = [
            await api.completions.create(
                model="lstm-small",
                prompt=prompt,
                seed=seed,
                n=4,
                max_tokens=1,
                extra_body={
                    "begin_word": begin_word,
                    "finish_sentence": False,
                    "min_tokens": 1,
                    "num_beams": num_beams,
                },
            )
            for seed in (1, 5, 9)
        ]
        return [choice.text[:1] for answer in answers for choice in answer.choices]

    inside = await first_letters("In the year", begin_word=False)
    assert any(letter.isalnum() for letter in inside)
    anew = await first_letters("In the year", begin_word=True)
    assert not any(letter.isalnum() for letter in anew)
    searched = await first_letters("In the year", begin_word=True, num_beams=2)
    assert not any(letter.isalnum() for letter in searched)
    # After a space a word begins anyway.
    assert await first_letters("In the ", begin_word=True) == await first_letters(
        "In the ", begin_word=False
    )
    # Where no spaces are written nobody can tell where one ends.
    assert await first_letters("物語", begin_word=True) == await first_letters(
        "物語", begin_word=False
    )


async def test_the_articles_beams_tell_whole_and_streamed(api: openai.AsyncOpenAI) -> None:
    asked: dict[str, Any] = {
        "model": "gpt2-small",
        "prompt": "In the year",
        "max_tokens": 30,
        "seed": 1,
        "temperature": 0.6,
        "extra_body": {"num_beams": 4, "no_repeat_ngram_size": 2, "min_tokens": 20, "top_k": 100},
    }
    whole = await api.completions.create(**asked)
    stream = await api.completions.create(**asked, stream=True)
    chunks = [chunk.choices[0] async for chunk in stream]
    assert whole.choices[0].text
    assert "".join(chunk.text for chunk in chunks) == whole.choices[0].text
    assert chunks[-1].finish_reason == whole.choices[0].finish_reason == "length"


async def test_a_models_own_beams_are_its_stories_default(tmp_path: Path) -> None:
    """And are refused in a sentence where there are fewer slots."""
    own = {"eos_token_id": 0, "num_beams": 3, "temperature": 0.0, "max_new_tokens": 20}
    folder = save_gpt2(tmp_path / "three-beams")
    (folder / "generation_config.json").write_text(json.dumps(own))
    asked: dict[str, Any] = {"model": "three-beams", "prompt": "In the year"}
    async with running(tmp_path, slots=3) as address, client(address) as api:
        told = [
            await api.completions.create(**asked, extra_body=body)
            for body in ({}, {"num_beams": 3}, {"num_beams": 1})
        ]
        with pytest.raises(
            openai.BadRequestError, match=r"at most 3 here.*and this is 4"
        ) as caught:
            await api.completions.create(**asked, extra_body={"num_beams": 4})
    assert caught.value.param == "num_beams"
    texts = [answer.choices[0].text for answer in told]
    assert texts[0] == texts[1] != texts[2]
    async with running(tmp_path, slots=2) as address, client(address) as api:
        with pytest.raises(
            openai.BadRequestError, match=r"at most 2 .*three-beams has 3"
        ) as caught:
            await api.completions.create(**asked)
        assert (await api.completions.create(**asked, max_tokens=0)).choices[0].text == ""
        assert (await api.completions.create(**asked, extra_body={"num_beams": 2})).choices
