from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import torch
from scipy.stats import chisquare
from transformers import GenerationConfig, GPT2Config, GPT2LMHeadModel

from generator.native import Threads, library
from generator.sampling.memfree import MemFree
from generator.sampling.native_sampler import NativeSampler
from generator.sampling.requests import Request
from generator.sampling.rules import Rules, layout
from generator.sampling.settings import Sampling
from generator.sampling.torch_sampler import TorchSampler
from generator.sampling.vocabulary import Vocabulary

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from torch import Tensor

DRAWS = 20_000
VOCABULARY = 40
END = 7
INSIDE = np.array([0, 2, 11, 30], np.int32)
HISTORY = (3, 1, 4, 1, 5, 9, 2, 6, 5, 3, 5, 1, 4)


def one_story(vocabulary: int = VOCABULARY, seed: int = 0) -> Tensor:
    """Logits like a language model's: few likely tokens, a long tail, both signs."""
    return torch.randn(1, vocabulary, generator=torch.Generator().manual_seed(seed)) * 2


Draw = Callable[..., "NDArray[np.int32]"]


@pytest.fixture(scope="module", params=["torch", "compiled"])
def draw(request: pytest.FixtureRequest) -> Draw:
    """Draws one token for each request, all from the same logits and story so far."""
    make: Callable[..., TorchSampler | NativeSampler] = TorchSampler
    if request.param == "compiled":
        request.getfixturevalue("native_step")
        make = partial(NativeSampler, threads=Threads(2))
    return partial(_draw, make)


def _draw(
    make: Callable[..., TorchSampler | NativeSampler],
    logits: Tensor,
    requests: list[Request],
    history: tuple[int, ...] = HISTORY,
    suppressed: tuple[int, ...] = (),
    bad_words: tuple[tuple[int, ...], ...] = (),
    continuations: NDArray[np.int32] = INSIDE[:0],
) -> NDArray[np.int32]:
    rules = Rules(len(requests))
    for slot, request in enumerate(requests):
        rules.put(slot, request)
    stories = np.tile(np.array(history, np.int32), (len(requests), 1))
    vocabulary = Vocabulary(
        ends=(END,),
        continuations=continuations,
        growing=INSIDE,
        suppressed=np.array(suppressed, np.int32),
        bad_words=np.array(bad_words or np.empty((0, 1)), np.int32),
    )
    sampler = make(rules, stories, vocabulary)
    slots = np.arange(len(requests), dtype=np.int32)
    lengths = np.full(len(requests), len(history), np.int32)
    return sampler.draw(logits.repeat(len(requests), 1), slots, lengths)


def asked(sampling: Sampling, seed: int = 0, min_tokens: int = 0) -> Request:
    """A request whose prompt is all but the last three tokens of the story so far."""
    return Request(
        prompt=HISTORY[:-3], sampling=sampling, seed=seed, max_tokens=50, min_tokens=min_tokens
    )


def by_transformers(
    logits: Tensor, request: Request, history: tuple[int, ...] = HISTORY
) -> NDArray[np.float64]:
    """The distribution that transformers' own processors leave: (vocabulary,)."""
    sampling = request.sampling
    settings = GenerationConfig(
        do_sample=True,
        temperature=sampling.temperature,
        top_k=sampling.top_k,
        top_p=sampling.top_p,
        min_p=sampling.min_p or None,
        repetition_penalty=sampling.repetition_penalty,
        no_repeat_ngram_size=sampling.no_repeat_ngram_size,
        min_new_tokens=request.min_tokens,
        eos_token_id=END,
    )
    settings._eos_token_tensor = torch.tensor([END])
    model: Any = GPT2LMHeadModel(GPT2Config(vocab_size=8, n_embd=4, n_layer=1, n_head=1))
    processors = model._get_logits_processor(settings, input_ids_seq_length=len(request.prompt))
    left = processors(torch.tensor([history]), logits.clone())
    told: NDArray[np.float64] = left[0].double().softmax(0).numpy()
    return told


def assert_drawn_from(expected: NDArray[np.float64], drawn: NDArray[np.int32]) -> None:
    """That draws are as often what is expected, in numbers of draws, as chance has it."""
    counts = np.bincount(drawn, minlength=VOCABULARY)
    assert counts[expected == 0].sum() == 0
    often = expected >= 5
    # Rare tokens count together, as the test needs five expected in each cell.
    cells = [*counts[often], counts[~often].sum()]
    shares = [*expected[often], expected[~often].sum()]
    if shares[-1] < 1e-9:
        cells, shares = cells[:-1], shares[:-1]
    assert chisquare(cells, shares).pvalue > 1e-4


@pytest.mark.parametrize(
    "request_",
    [
        asked(Sampling()),
        asked(Sampling(temperature=0.6)),
        asked(Sampling(temperature=1.7)),
        asked(Sampling(top_k=8)),
        asked(Sampling(top_p=0.8)),
        asked(Sampling(min_p=0.1)),
        asked(Sampling(repetition_penalty=1.5)),
        asked(Sampling(no_repeat_ngram_size=3)),
        asked(Sampling(), min_tokens=4),
        asked(Sampling(), min_tokens=3),
        asked(
            Sampling(
                temperature=1.3,
                top_k=20,
                top_p=0.9,
                min_p=0.02,
                repetition_penalty=1.2,
                no_repeat_ngram_size=2,
            ),
            min_tokens=10,
        ),
    ],
    ids=lambda request: f"{request.sampling}, min_tokens={request.min_tokens}",
)
def test_draws_follow_the_distribution_of_transformers(draw: Draw, request_: Request) -> None:
    logits = one_story()
    logits[0, END] = 2.5  # likely, so that its absence is seen
    logits[0, 1], logits[0, 5] = 2.0, 1.5  # 4, 1 and 1, 4 came before: an n-gram is at stake
    expected = by_transformers(logits, request_) * DRAWS
    drawn = draw(logits, [replace(request_, seed=seed) for seed in range(DRAWS)])
    assert_drawn_from(expected, drawn)


@pytest.mark.parametrize(("frequency", "presence"), [(0.7, 0.0), (0.0, 1.5), (1.2, -0.5)])
def test_what_a_story_said_costs_by_openais_formula(
    draw: Draw, frequency: float, presence: float
) -> None:
    """mu[j] - c[j] * frequency - (c[j] > 0) * presence, where the prompt's tokens count nothing."""
    logits = one_story()
    logits[0, [1, 3, 5]] = 2.0
    sampling = Sampling(frequency_penalty=frequency, presence_penalty=presence)
    request = Request(prompt=HISTORY[:4], sampling=sampling, seed=0, max_tokens=50)
    told = torch.bincount(torch.tensor(HISTORY[4:]), minlength=VOCABULARY)
    assert told[5] == 3
    left = logits[0].double() - told * frequency - (told > 0) * presence
    drawn = draw(logits, [replace(request, seed=seed) for seed in range(DRAWS)])
    assert_drawn_from(left.softmax(0).numpy() * DRAWS, drawn)


@pytest.mark.usefixtures("native_step")
@pytest.mark.parametrize(
    "sampling",
    [
        Sampling(temperature=0, repetition_penalty=1.3, no_repeat_ngram_size=2),
        Sampling(),
        Sampling(temperature=0.6, top_k=20, top_p=0.95),
        Sampling(temperature=1.3, top_p=0.9, frequency_penalty=0.5),
        Sampling(temperature=2.0, min_p=0.1, memfree=True),
        Sampling(temperature=0.5, top_k=1),
        Sampling(top_p=0.01),
        Sampling(min_p=1.0),
    ],
    ids=str,
)
def test_a_search_goes_on_alike_by_torch_and_compiled(sampling: Sampling) -> None:
    rules, stories = Rules(9), np.tile(np.array(HISTORY, np.int32), (9, 1))
    filter_ = MemFree.of([[*HISTORY, token] for token in range(0, 1000, 3)], INSIDE)
    vocabulary = Vocabulary(
        ends=(END,), continuations=INSIDE, suppressed=np.array([4, 17], np.int32), memfree=filter_
    )
    slots = np.array([8, 3, 5], np.int32)
    for slot in slots:
        rules.put(slot, replace(asked(sampling, seed=6), num_beams=3))
    logprobs = one_story(3000).view(3, 1000).log_softmax(1)
    scores, lengths = np.array([-1, -1.5, -2], np.float32), np.full(3, len(HISTORY), np.int32)
    by_torch, compiled = (
        sampler.ways(logprobs.clone(), scores, slots, lengths, 3)
        for sampler in (
            TorchSampler(rules, stories, vocabulary),
            NativeSampler(rules, stories, vocabulary, Threads(2)),
        )
    )
    assert compiled.tokens.tolist() == by_torch.tokens.tolist()
    assert compiled.beams.tolist() == by_torch.beams.tolist()
    np.testing.assert_allclose(compiled.scores, by_torch.scores, rtol=1e-4)
    assert len(compiled.tokens) == 6
    assert not {4, 17} & set(compiled.tokens.tolist())
    if sampling.memfree:
        copied = (compiled.tokens % 3 == 0) & ~np.isin(compiled.tokens, INSIDE)
        assert not copied.any()


@pytest.mark.parametrize(
    ("history", "token", "told"),
    [
        ((3, 11, 2, 30, 5, 3, 11, 2), 30, True),
        ((3, 11, 2, 0, 30, 5, 3, 11, 2, 0), 30, True),
        ((3, 11, 2, 30, 5, 4, 11, 2), 30, False),  # the end of another word
        ((3, 11, 11, 11), 11, False),  # the same word, which would never end
        ((11, 11, 11, 5, 11, 11), 11, False),  # where it began is not to be seen
        ((3, 11, 5, 4, 3, 11), 5, False),  # the next word
    ],
)
def test_a_word_may_be_told_again_to_its_end(
    draw: Draw, history: tuple[int, ...], token: int, told: bool
) -> None:
    """Although it is longer than an n-gram that may not repeat."""
    logits = one_story()
    logits[0, token] = 20
    request = asked(Sampling(temperature=0, no_repeat_ngram_size=3))
    (drawn,) = draw(logits, [request], history, continuations=INSIDE)
    assert bool(drawn == token) is told


def test_the_rules_cut_where_transformers_cuts_in_a_large_vocabulary(draw: Draw) -> None:
    logits = one_story(vocabulary=8_000)
    for sampling in (
        Sampling(top_k=1000, top_p=0.95, temperature=0.6),
        Sampling(top_p=0.95, temperature=1.5),
        Sampling(top_p=0.999, temperature=2.0),
        Sampling(top_k=5000),
        Sampling(min_p=0.001),
    ):
        expected = by_transformers(logits, asked(sampling))
        drawn = draw(logits, [asked(sampling, seed=seed) for seed in range(100)])
        assert (expected[drawn] > 0).all()
        # As likely on average as draws from the reference, within five standard errors.
        chance = np.log(expected, out=np.zeros_like(expected), where=expected > 0)
        mean = (expected * chance).sum()
        spread = np.sqrt((expected * (chance - mean) ** 2).sum() / 100)
        assert abs(chance[drawn].mean() - mean) < 5 * spread


def test_zero_temperature_takes_the_likeliest(draw: Draw) -> None:
    logits = one_story()
    logits[0, END] = 9.0
    best = int(logits[0].argsort(descending=True)[1])
    assert draw(logits, [asked(Sampling(temperature=0))]).tolist() == [END]
    assert draw(logits, [asked(Sampling(temperature=0), min_tokens=5)]).tolist() == [best]


def test_a_draw_depends_on_its_own_story_only(draw: Draw) -> None:
    settings = [
        Sampling(),
        Sampling(temperature=0),
        Sampling(top_k=5),
        Sampling(top_p=0.7, repetition_penalty=1.3),
        Sampling(min_p=0.05, no_repeat_ngram_size=2),
    ]
    requests = [asked(sampling, seed=31 * seed) for seed in range(20) for sampling in settings]
    logits = one_story(vocabulary=3000)
    together = draw(logits, requests).tolist()
    assert together == [int(draw(logits, [request])[0]) for request in requests]


def test_top_k_holds_beside_a_story_without_it(draw: Draw) -> None:
    logits = one_story()
    likeliest = set(logits[0].topk(2).indices.tolist())
    settings = [Sampling(), Sampling(top_k=2)]
    requests = [asked(sampling, seed=seed) for seed in range(100) for sampling in settings]
    drawn = draw(logits, requests)
    assert set(drawn[1::2].tolist()) == likeliest
    assert not set(drawn[::2].tolist()) <= likeliest


def test_seed_and_position_make_the_noise(draw: Draw) -> None:
    logits = torch.zeros(1, 50_000)
    requests = [asked(Sampling(), seed=seed) for seed in (0, 1, 2**62, 2**63 - 1)]
    first = draw(logits, requests)
    assert len(set(first.tolist())) == 4
    assert draw(logits, requests).tolist() == first.tolist()
    assert set(draw(logits, requests, HISTORY[:-1])).isdisjoint(first.tolist())


@pytest.mark.usefixtures("native_step")
def test_both_samplers_draw_the_same() -> None:
    logits = one_story(vocabulary=50_000)
    requests = [
        asked(sampling, seed=seed)
        for seed in range(10)
        for sampling in (
            Sampling(),
            Sampling(top_k=1000, top_p=0.95, temperature=0.6),
            Sampling(top_p=0.9, repetition_penalty=1.2),
            Sampling(min_p=0.01, no_repeat_ngram_size=2, temperature=2.0),
            Sampling(frequency_penalty=0.7, presence_penalty=-0.3, repetition_penalty=1.1),
        )
    ]
    compiled = partial(NativeSampler, threads=Threads(1))
    told = [_draw(make, logits, requests).tolist() for make in (TorchSampler, compiled)]
    assert told[0] == told[1]


def test_neighbouring_seeds_and_positions_are_independent(draw: Draw) -> None:
    """Pairs of draws a seed or a position apart spread evenly over all pairs of two tokens."""
    logits = torch.full((1, VOCABULARY), -torch.inf)
    logits[0, :4] = 0
    seeds = [asked(Sampling(), seed=seed) for seed in range(DRAWS)]
    now, later = draw(logits, seeds, (1,)), draw(logits, seeds, (1, 1))
    for one, other in ((now[:-1], now[1:]), (now, later)):
        assert chisquare(np.bincount(4 * one + other, minlength=16)).pvalue > 1e-4


def test_a_new_word_begins_only_where_the_story_does(draw: Draw) -> None:
    logits = one_story()
    logits[:, INSIDE] += 20
    inside = Request(prompt=HISTORY, sampling=Sampling(), seed=0, max_tokens=50, begin_word=True)
    opening = [replace(inside, seed=seed) for seed in range(200)]
    assert not np.isin(draw(logits, opening), INSIDE).any()
    later = [replace(request, prompt=HISTORY[:-1]) for request in opening]
    assert np.isin(draw(logits, later), INSIDE).all()
    without = [replace(request, begin_word=False) for request in opening]
    assert np.isin(draw(logits, without), INSIDE).all()


@pytest.mark.parametrize(
    "sampling",
    [Sampling(), Sampling(temperature=0), Sampling(top_k=5), Sampling(top_p=0.9, min_p=0.01)],
)
def test_an_unspoken_token_is_never_drawn(draw: Draw, sampling: Sampling) -> None:
    logits = one_story()
    logits[:, [2, 33]] = 9.0
    requests = [asked(sampling, seed=seed) for seed in range(200)]
    assert np.isin(draw(logits, requests), [2, 33]).any()
    assert not np.isin(draw(logits, requests, suppressed=(2, 33)), [2, 33]).any()


def test_a_bad_word_is_not_completed(draw: Draw) -> None:
    """HISTORY ends with 5, 1, 4."""
    logits = one_story()
    logits[:, 10:16] += 20
    requests = [asked(Sampling(), seed=seed) for seed in range(200)]
    words = (
        (-1, -1, -1, 10),  # one token
        (-1, -1, 4, 11),
        (3, 5, 1, 12),  # only its last tokens were told: it is not
        (5, 1, 4, 13),
        (-1, -1, 1, 14),  # nor is this one
    )
    assert set(draw(logits, requests).tolist()) == set(range(10, 16))
    assert set(draw(logits, requests, bad_words=words).tolist()) == {12, 14, 15}
    # A story may be shorter than they are.
    assert set(draw(logits, requests, (4,), bad_words=words).tolist()) == {12, 13, 14, 15}


@pytest.mark.usefixtures("native_step")
def test_the_native_sampler_reads_the_rules_that_are_declared() -> None:
    assert library().rules_layout().decode() == layout()
    names = [member.split()[1] for member in layout().split(";") if member]
    assert names[: len(Sampling.model_fields)] == list(Sampling.model_fields)
