from __future__ import annotations

import asyncio
import csv
import gc
import math
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

from generator.engine.loop import Engine
from generator.models import packing
from generator.models.decoder import Batch
from generator.models.errors import ModelFolderError
from generator.models.loading import LoadedModel, load_model
from generator.models.packed import Packed
from generator.models.packing import Part, pack
from generator.models.quantised import QuantisedDecoder, fastest_threads, packed
from generator.models.shapes import LSTMShape
from generator.native import Threads
from generator.sampling.requests import Request
from generator.sampling.settings import Sampling
from tests.generator.small_folders import VOCABULARY, save_gpt2, save_llama, save_lstm

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray
    from torch import Tensor

    from generator.models.decoder import Decoder
    from generator.models.weights import Weights

pytestmark = pytest.mark.usefixtures("native_step")

ROOT = Path(__file__).parents[2]
UNEVEN: dict[str, Any] = {
    "hidden_size": 288,
    "num_attention_heads": 9,
    "num_key_value_heads": 3,
    "head_dim": 24,
    "intermediate_size": 200,
    "num_hidden_layers": 2,
    "attention_bias": True,
    "mlp_bias": True,
}


@pytest.fixture(
    scope="module",
    params=["gpt2", "wide-gpt2", "lstm", "uneven-lstm", "llama", "uneven-llama"],
)
def loaded(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory, native_step: None
) -> LoadedModel:
    del native_step
    folder = tmp_path_factory.mktemp("models") / request.param
    match request.param:
        case "gpt2":
            save_gpt2(folder)
        case "wide-gpt2":  # several groups of inputs, of which the last is not full
            save_gpt2(folder, n_embd=288, n_head=6, n_inner=400, n_layer=2, initializer_range=0.06)
        case "lstm":
            save_lstm(folder)
        case "uneven-lstm":  # no size is a multiple of 16, and there is no projection
            save_lstm(folder, embedding_size=100, hidden_size=100, num_layers=3)
        case "llama":
            save_llama(folder, initializer_range=0.06, tie_word_embeddings=True)
        case _:  # heads and inner layer are padded, three heads share one of keys
            save_llama(folder, initializer_range=0.05, **UNEVEN)
    return load_model(folder, precision="float32")


def both(loaded: LoadedModel, slots: int = 8) -> tuple[QuantisedDecoder, Decoder]:
    """The model with 8-bit weights, and in float32."""
    held = rounded(loaded.weights, loaded.context)
    return QuantisedDecoder(held, slots, Threads(2)), loaded._decoder(slots)


def rounded(weights: Weights, context: int) -> Packed:
    return packed(weights.config, dict(weights.named_parameters()), context)


def in_8_bits(loaded: LoadedModel) -> LoadedModel:
    return replace(loaded, held=rounded(loaded.weights, loaded.context), precision="int8")


def batch(*parts: tuple[int, int, list[int]]) -> Batch:
    """From (slot, start, tokens) of each story."""
    slots, starts, runs = zip(*parts, strict=True)
    return Batch(
        slots=ints(slots),
        starts=ints(starts),
        counts=ints([len(run) for run in runs]),
        tokens=ints([token for run in runs for token in run]),
    )


def ints(numbers: object) -> NDArray[np.int32]:
    return np.array(numbers, np.int32)


def tokens(count: int, seed: int = 0) -> list[int]:
    drawn: list[int] = np.random.default_rng(seed).integers(1, VOCABULARY, count).tolist()
    return drawn


def bits(logits: Tensor, truth: Tensor) -> float:
    """Mean bits for the true tokens."""
    loss = torch.nn.functional.cross_entropy(logits, truth)
    return float(loss) / math.log(2)


def test_logits_are_close_to_those_in_float32(loaded: LoadedModel) -> None:
    quantised, exact = both(loaded)
    for step in (
        batch((0, 0, tokens(40)), (3, 0, [5]), (6, 0, tokens(17, seed=1))),
        batch((0, 40, [7]), (3, 1, tokens(60, seed=2)), (6, 17, [8])),
        batch((3, 61, [9])),
    ):
        near, true = quantised.step(step), exact.step(step)
        assert (near - true).norm() / true.norm() < 0.04


def test_a_held_out_text_costs_as_many_bits_as_in_float32(loaded: LoadedModel) -> None:
    """Within half a percent, on text that the float32 model itself tells at temperature 1."""
    quantised, exact = both(loaded, slots=64)
    draws = torch.Generator().manual_seed(4)
    told = torch.randint(1, VOCABULARY, (64, 1), generator=draws)
    costs: tuple[list[Tensor], list[Tensor]] = [], []
    for position in range(40):
        step = Batch(
            slots=np.arange(64, dtype=np.int32),
            starts=np.full(64, position, np.int32),
            counts=np.ones(64, np.int32),
            tokens=told[:, -1].numpy().astype(np.int32),
        )
        logits = exact.step(step)
        told = torch.cat([told, torch.multinomial(logits.softmax(1), 1, generator=draws)], 1)
        costs[0].append(quantised.step(step).clone())
        costs[1].append(logits)
    near, true = (bits(torch.cat(logits), told[:, 1:].T.flatten()) for logits in costs)
    assert near == pytest.approx(true, rel=0.005)


@pytest.mark.parametrize("starter", ["gpt2-starter", "lstm-starter"])
def test_the_starters_lose_nothing_by_8_bits(starter: str) -> None:
    """Bits for real sentences, within half a percent of those in float32."""
    loaded = load_model(ROOT / "models" / starter, precision="float32")
    with (ROOT / "tests" / "data" / "stories.csv").open() as file:
        texts = [row["synopsis"] for row in csv.DictReader(file)]
    encoded = [loaded.tokenizer.encode(text) for text in texts]
    stories = np.array([story[:41] for story in encoded if len(story) > 40][:32], np.int32)
    assert len(stories) == 32
    quantised, _ = both(loaded, slots=32)
    near = 0.0
    for position in range(40):
        step = Batch(
            slots=np.arange(32, dtype=np.int32),
            starts=np.full(32, position, np.int32),
            counts=np.ones(32, np.int32),
            tokens=stories[:, position].copy(),
        )
        truth = torch.from_numpy(stories[:, position + 1]).long()
        near += bits(quantised.step(step), truth) / 40
    told = torch.from_numpy(stories).long()
    with torch.inference_mode():
        logits = loaded.model(input_ids=told[:, :-1]).logits
    assert near == pytest.approx(bits(logits.flatten(0, 1), told[:, 1:].flatten()), rel=0.005)


def test_a_row_is_the_same_to_the_bit_whatever_is_beside_it(loaded: LoadedModel) -> None:
    story = tokens(50)
    alone, _ = both(loaded, slots=40)
    crowd, _ = both(loaded, slots=40)
    pieces, _ = both(loaded, slots=40)
    whole = alone.step(batch((0, 0, story)))[0]
    others = [(slot, 0, tokens(1 + slot, seed=slot)) for slot in range(1, 40)]
    assert torch.equal(crowd.step(batch(*others[:20], (0, 0, story), *others[20:]))[20], whole)
    for start in range(0, 50, 7):
        last = pieces.step(batch((0, start, story[start : start + 7])))[0]
    assert torch.equal(last, whole)


def test_the_number_of_threads_changes_nothing(loaded: LoadedModel) -> None:
    decoder, _ = both(loaded)
    told = []
    for count in (1, 2, 3, 5):
        decoder.threads = Threads(count)
        told.append(decoder.step(batch((0, 0, tokens(30)), (1, 0, tokens(9)))).clone())
    assert all(torch.equal(told[0], one) for one in told)


async def test_a_story_is_the_same_alone_in_a_crowd_and_joining_late(loaded: LoadedModel) -> None:
    lively = Sampling(temperature=0.9, top_k=100, top_p=0.95, repetition_penalty=1.1)
    request = Request(prompt=(5, 6, 7), sampling=lively, seed=11, max_tokens=60)
    crowd = [
        Request(prompt=tuple(tokens(1 + seed, seed)), sampling=lively, seed=seed, max_tokens=80)
        for seed in range(31)
    ]

    async def tell(one: Request) -> list[int]:
        return [token async for news in engine.submit(one) for token in news]

    async with Engine(in_8_bits(loaded), slots=32) as engine:
        alone = await tell(request)
        together, *_ = await asyncio.gather(*(tell(one) for one in [request, *crowd]))
        running = [engine.submit(one) for one in crowd]
        await anext(running[0])
        late = await tell(request)
    assert alone == together == late


@pytest.mark.parametrize("turned", [False, True])
@pytest.mark.parametrize(("outputs", "inputs"), [(70, 21), (130, 40_000), (3, 200_000)])
def test_packed_weights_can_be_read_back(outputs: int, inputs: int, turned: bool) -> None:
    """The larger ones in pieces."""
    weight = torch.randn(outputs, inputs) * torch.logspace(-3, 2, outputs)[:, None]
    weight[2] = 0
    rows, columns = outputs + -outputs % 64, inputs + -inputs % 16
    place = torch.empty(rows * columns, dtype=torch.uint8)
    scales = torch.zeros(rows)
    pack([Part(weight.T.contiguous() if turned else weight, turned)], place, scales)
    steps = place.view(-1, columns // 4, 64, 4).transpose(1, 2).reshape(rows, columns).float() - 128
    back = steps * scales[:, None]
    assert ((back[:outputs, :inputs] - weight).abs() <= scales[:outputs, None] * 0.5001).all()
    assert back[outputs:].eq(0).all()
    assert back[:, inputs:].eq(0).all()


@pytest.mark.parametrize("kind", ["gpt2", "lstm", "llama"])
def test_whatever_pieces_it_is_read_in_a_model_is_packed_the_same(
    kind: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Parts of a row among them."""
    folder = tmp_path / kind
    match kind:
        case "gpt2":
            save_gpt2(folder, n_layer=1)
        case "lstm":
            save_lstm(folder, embedding_size=50, hidden_size=50, num_layers=1)
        case _:
            save_llama(folder, vocab_size=512, head_dim=6, num_hidden_layers=1)
    step = batch((0, 0, tokens(20)))

    def told() -> Tensor:
        held = load_model(folder, precision="int8", reach=64).held
        assert isinstance(held, Packed)
        return QuantisedDecoder(held, 1, Threads(1)).step(step)

    whole = told()
    monkeypatch.setattr(packing, "_AT_ONCE", 48)
    assert told().equal(whole)


def test_memory_is_8_bit_weights_and_state_of_every_slot(loaded: LoadedModel) -> None:
    (quantised, exact), (more, more_exact) = both(loaded, slots=8), both(loaded, slots=9)
    state = 4 * loaded.config.kept(128)
    a_slot = more.memory - quantised.memory - 4 * VOCABULARY
    assert more_exact.memory - exact.memory == state
    assert quantised.memory == 8 * (a_slot + 4 * VOCABULARY)
    # 16 bits a key or a value, 32 a number of an LSTM's state; some are padded.
    padding = {24: 32 / 24, 100: 112 / 100, 16: 2}
    size = getattr(loaded.config, "head_dim", getattr(loaded.config, "hidden_size", 0))
    half = 1 if isinstance(loaded.config, LSTMShape) else 2
    assert a_slot == pytest.approx(state / half * padding.get(size, 1))
    packed_too = in_8_bits(loaded)
    matrices = sum(weight.numel() for weight in loaded.weights.parameters() if weight.dim() > 1)
    assert matrices / 2 < packed_too.memory < 4 * matrices


def test_threads_are_measured(loaded: LoadedModel) -> None:
    decoder, _ = both(loaded)
    first = decoder.step(batch((0, 0, tokens(30)))).clone()
    assert fastest_threads(decoder, slots=8) is decoder.threads
    assert torch.equal(decoder.step(batch((0, 0, tokens(30)))), first)


@pytest.mark.parametrize(("told", "tried"), [("1", [1]), ("3, 1", [1, 2]), ("64", [1, 2, 4])])
def test_no_more_threads_are_tried_than_omp_num_threads_says_or_cores_there_are(
    loaded: LoadedModel, monkeypatch: pytest.MonkeyPatch, told: str, tried: list[int]
) -> None:
    opened = []

    class Counted(Threads):
        def __init__(self, count: int) -> None:
            opened.append(count)
            super().__init__(count)

    decoder, _ = both(loaded)
    monkeypatch.setattr("generator.models.quantised.Threads", Counted)
    monkeypatch.setattr("os.sched_getaffinity", lambda _: range(5), raising=False)
    monkeypatch.setenv("OMP_NUM_THREADS", told)
    fastest_threads(decoder, slots=8)
    assert opened == tried


def test_a_gpt2_of_unusual_shape_is_told_in_float32(tmp_path: Path) -> None:
    folder = save_gpt2(tmp_path / "relu", activation_function="relu")
    assert load_model(folder).precision == "float32"
    with pytest.raises(ModelFolderError, match="float32 only"):
        load_model(folder, precision="int8")


def test_a_llama_of_unusual_shape_is_told_in_float32_and_the_log_says_why(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    folder = save_llama(tmp_path / "narrow", hidden_size=40)
    assert load_model(folder).precision == "float32"
    assert "its width of 40 is no multiple of 16" in caplog.text


@pytest.mark.parametrize("kind", [torch.float16, torch.bfloat16], ids=str)
@pytest.mark.parametrize("save", [save_gpt2, save_llama, save_lstm])
def test_weights_of_sixteen_bits_are_packed_as_they_are(
    save: Callable[[Path], Path], tmp_path: Path, kind: torch.dtype
) -> None:
    """Without becoming float32 as a whole, and with the same outcome."""
    loaded = load_model(save(tmp_path / "model"), precision="float32")
    halved = loaded.weights.to(kind)
    short = QuantisedDecoder(rounded(halved, 128), 2, Threads(1))
    long = QuantisedDecoder(rounded(halved.float(), 128), 2, Threads(1))
    step = batch((0, 0, tokens(40)), (1, 0, tokens(3, seed=1)))
    assert torch.equal(short.step(step), long.step(step))


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="Linux says what is resident")
async def test_a_packed_model_keeps_no_float32_copy(tmp_path: Path) -> None:
    """Which would be four more bytes for each weight; not for its beams either."""

    def resident() -> int:
        lines = Path("/proc/self/status").read_text().splitlines()
        return next(int(line.split()[1]) << 10 for line in lines if line.startswith("RssAnon"))

    def in_floats() -> int:
        gc.collect()
        alive = (one for one in gc.get_objects() if issubclass(type(one), torch.Tensor))
        return sum(one.numel() for one in alive if one.dtype == torch.float32)

    folder = save_llama(
        tmp_path / "model", hidden_size=512, intermediate_size=2048, num_hidden_layers=6
    )
    (folder / "generation_config.json").write_text('{"num_beams": 3, "eos_token_id": 0}')
    weights = sum(tensor.numel() for tensor in load_file(folder / "model.safetensors").values())
    floats, before = in_floats(), resident()
    loaded = load_model(folder, precision="int8")
    assert loaded.settings.num_beams == 3
    search = Request(prompt=(9, 8, 7), sampling=Sampling(), seed=0, max_tokens=9, num_beams=3)
    async with Engine(loaded, slots=3) as engine:
        _ = [tokens async for tokens in engine.submit(search)]
        assert in_floats() - floats < weights / 100
        assert resident() - before < 3 * weights
        exact = sum(weight.numel() for weight in loaded.model.parameters())
        assert exact == weights  # who asks for them has them alone
        assert in_floats() - floats < weights / 100
