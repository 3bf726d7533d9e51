"""Bits per byte: right where the answer is known, and the same however a text is cut."""

from __future__ import annotations

import math
from types import SimpleNamespace
from typing import TYPE_CHECKING

import pytest
import torch
from tokenizers import Regex, Tokenizer, models, pre_tokenizers, processors
from transformers import PreTrainedConfig, PreTrainedModel, PreTrainedTokenizerFast

from tests.training.small import TEXTS, TOKENIZER, recipe
from training.corpus.batches import encode
from training.corpus.spelling import Spelling
from training.corpus.tokenizers import END, train_bpe, train_words
from training.learning.building import build_model
from training.likelihood import likelihood, unknown_words

if TYPE_CHECKING:
    from collections.abc import Mapping


class Known(PreTrainedModel):
    """Draws every token anew with known probabilities."""

    def __init__(self, tokenizer: PreTrainedTokenizerFast, odds: Mapping[str, float]) -> None:
        super().__init__(PreTrainedConfig())
        self.config.max_position_embeddings = 512
        logits = torch.full((len(tokenizer),), -math.inf)
        for token, probability in odds.items():
            logits[tokenizer.convert_tokens_to_ids(token)] = math.log(probability)
        self.logits = torch.nn.Parameter(logits)

    def forward(self, input_ids: torch.Tensor) -> SimpleNamespace:
        return SimpleNamespace(logits=self.logits.expand(*input_ids.shape, -1))


def test_a_uniform_model_over_bytes_needs_eight_bits() -> None:
    tokenizer = train_bpe([""], 257)  # an alphabet of 256 bytes, and the end
    tokens = [token for token in tokenizer.get_vocab() if token != END]
    assert len(tokens) == 256
    model = Known(tokenizer, dict.fromkeys(tokens, 1 / 256))
    texts = ["The fox.", "naïve 語り部 🦊", "a"]
    assert likelihood(model, tokenizer, texts).bits_per_byte == pytest.approx(8, abs=1e-5)


def cut_by(size: int) -> PreTrainedTokenizerFast:
    """Texts of a and b in pieces of a fixed size."""
    pieces = [""]
    for _ in range(size):
        pieces = [piece + letter for piece in pieces for letter in "ab"]
    vocabulary = {END: 0, **{piece: index for index, piece in enumerate(pieces, 1)}}
    tokenizer = Tokenizer(models.WordLevel(vocabulary, unk_token=END))
    tokenizer.pre_tokenizer = pre_tokenizers.Split(Regex("." * size), "isolated")
    return PreTrainedTokenizerFast(tokenizer_object=tokenizer, eos_token=END, bos_token=END)


def test_it_is_the_same_however_the_text_is_cut() -> None:
    """P(a) = 0.8 and P(b) = 0.2, letter by letter or three at a time."""
    odds = {"a": 0.8, "b": 0.2}
    texts = ["aabaab", "bbb", "aaaaaaaab"]
    expected = -sum(math.log2(odds[letter]) for text in texts for letter in text) / 18
    for size in (1, 3):
        tokenizer = cut_by(size)
        pieces = [piece for piece in tokenizer.get_vocab() if piece != END]
        model = Known(
            tokenizer, {piece: math.prod(odds[letter] for letter in piece) for piece in pieces}
        )
        told = likelihood(model, tokenizer, texts)
        assert told.read == texts
        assert told.bits_per_byte == pytest.approx(expected, abs=1e-5)


def without_template(**special: str) -> PreTrainedTokenizerFast:
    """Our tokens by a tokenizer that puts nothing before a text, as GPT-2's."""
    backend = Tokenizer.from_str(TOKENIZER.backend_tokenizer.to_str())
    backend.post_processor = processors.ByteLevel(trim_offsets=False)
    return PreTrainedTokenizerFast(tokenizer_object=backend, **special)


@pytest.mark.parametrize("special", [{"bos_token": END, "eos_token": END}, {"eos_token": END}])
def test_the_first_token_counts_whether_or_not_the_tokenizer_begins_texts(
    special: dict[str, str],
) -> None:
    """By the begin-of-text token, or by end-of-text where a model has no other."""
    model = build_model(recipe("gpt2"), TOKENIZER)
    context = model.config.max_position_embeddings
    texts = [*TEXTS[:4], "a", "", " ".join(TEXTS[:5])]
    assert len(TOKENIZER(texts[-1]).input_ids) > context + 1
    ours = likelihood(model, TOKENIZER, texts)
    foreign = likelihood(model, without_template(**special), texts)
    assert foreign.nats == pytest.approx(ours.nats)
    assert foreign.nats[4] > 0
    assert foreign.read == ours.read


def test_without_any_such_token_the_first_one_is_neither_predicted_nor_counted() -> None:
    """Not even its bytes, which would make the others look cheaper."""
    model = build_model(recipe("gpt2"), TOKENIZER)
    nameless = without_template()
    texts = ["The fox sleeps.", "a", "", " ".join(TEXTS[:5])]
    told = likelihood(model, nameless, texts)
    rows = [nameless(text).input_ids[: model.config.max_position_embeddings + 1] for text in texts]
    assert told.read == [nameless.decode(row[1:]) for row in rows]
    assert told.nats[1:3] == [0, 0]
    with torch.inference_mode():
        losses = model(input_ids=torch.tensor([rows[0]]), labels=torch.tensor([rows[0]])).loss
    assert told.nats[0] == pytest.approx(float(losses) * (len(rows[0]) - 1), rel=1e-5)


def test_batches_of_any_size_give_the_same_nats() -> None:
    model = build_model(recipe("gpt2"), TOKENIZER)
    texts = [text[: 20 + 10 * n] for n, text in enumerate(TEXTS[:12])]
    alone = likelihood(model, TOKENIZER, texts, batch_tokens=1)
    together = likelihood(model, TOKENIZER, texts, batch_tokens=4096)
    assert together.nats == pytest.approx(alone.nats, rel=1e-5)
    assert together.bytes == [len(text.encode()) for text in texts]


def test_a_text_beyond_the_context_is_measured_up_to_there() -> None:
    chosen = recipe("gpt2")
    model = build_model(chosen, TOKENIZER)
    context = chosen.model.context
    long = " ".join(TEXTS[:5])
    row = encode([long], TOKENIZER, context)[0]
    read = str(TOKENIZER.decode(row.tolist(), skip_special_tokens=True))
    told = likelihood(model, TOKENIZER, [long])
    assert len(row) == context + 1
    assert long.startswith(read)
    assert told.bytes == [len(read.encode())]
    assert told.bits_per_byte == pytest.approx(math.log2(400) * context / len(read), rel=0.05)


def test_unknown_words_within_the_context_count_as_text() -> None:
    tokenizer = train_words(["the fox sleeps"], 50, min_frequency=1)
    model = Known(tokenizer, {"the": 0.5, "<unk>": 0.5})
    model.config.max_position_embeddings = 3
    told = likelihood(model, tokenizer, ["the walrus the walrus the fox"])
    assert told.read == ["the walrus the"]
    assert told.bytes == [len("the walrus the")]


def test_a_word_model_pays_for_words_it_does_not_know() -> None:
    tokenizer = train_words(["the fox sleeps"], 50, min_frequency=1)
    assert unknown_words(["The walrus sleeps", "fox"], tokenizer, 100) == [["walrus"], []]
    known = [token for token in tokenizer.get_vocab() if token != END]
    model = Known(tokenizer, dict.fromkeys(known, 1 / len(known)))
    spelling = Spelling(["walnut", "citrus"])
    free = likelihood(model, tokenizer, ["the walrus"])
    paid = likelihood(model, tokenizer, ["the walrus"], spelling=spelling)
    assert paid.nats[0] - free.nats[0] == pytest.approx(spelling.nats("walrus"))


def test_spelling_is_a_probability_and_prefers_what_it_has_seen() -> None:
    spelling = Spelling(["tamaki", "tanaka", "tarō"])
    for context in ("", "ta", "zz"):
        letters = ("\0" * 4 + context).encode()[-4:]
        total = sum(spelling._probability(letters, letter) for letter in range(256))
        assert total == pytest.approx(1)
    assert spelling.nats("tamaka") < spelling.nats("xqzwvk")
    assert math.isfinite(spelling.nats("語"))
