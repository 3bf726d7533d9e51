from __future__ import annotations

import numpy as np
import pytest
import torch

from generator.models.decoder import Batch
from generator.models.lstm import LSTMConfig, LSTMForCausalLM
from generator.models.lstm_decoder import LSTMDecoder


@pytest.mark.parametrize(("embedding", "tied"), [(32, True), (20, True), (20, False)])
def test_logits_are_those_of_the_model_itself(embedding: int, tied: bool) -> None:
    torch.manual_seed(0)
    model = LSTMForCausalLM(
        LSTMConfig(
            vocab_size=96,
            embedding_size=embedding,
            hidden_size=32,
            num_layers=2,
            tie_word_embeddings=tied,
        )
    )
    model.train(mode=False)
    decoder = LSTMDecoder(model, slots=4)
    stories = torch.randint(96, (4, 30), generator=torch.Generator().manual_seed(1))
    with torch.inference_mode():
        expected = model(stories).logits
    assert expected is not None
    read = [0] * 4
    for step in ({0: 5, 2: 1}, {1: 20, 0: 1, 3: 2}, {2: 1}, {3: 1, 2: 9, 0: 1, 1: 1}):
        slots = list(step)
        logits = decoder.step(
            Batch(
                slots=np.array(slots, np.int32),
                starts=np.array([read[slot] for slot in slots], np.int32),
                counts=np.array(list(step.values()), np.int32),
                tokens=np.concatenate(
                    [stories[slot, read[slot] : read[slot] + step[slot]].numpy() for slot in slots]
                ).astype(np.int32),
            )
        )
        for row, slot in enumerate(slots):
            read[slot] += step[slot]
            torch.testing.assert_close(logits[row], expected[slot, read[slot] - 1])


def test_a_new_story_starts_from_nothing() -> None:
    model = LSTMForCausalLM(LSTMConfig(vocab_size=9, embedding_size=8, hidden_size=8))
    model.train(mode=False)
    decoder = LSTMDecoder(model, slots=1)
    story = Batch(
        slots=np.zeros(1, np.int32),
        starts=np.zeros(1, np.int32),
        counts=np.full(1, 3, np.int32),
        tokens=np.array([1, 2, 3], np.int32),
    )
    first = decoder.step(story)
    assert torch.equal(decoder.step(story), first)
