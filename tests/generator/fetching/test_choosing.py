"""Which files of a hub are taken."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from generator.fetching.choosing import INDEX, bits_of, gguf_of, weights_of
from generator.fetching.errors import FetchError
from generator.fetching.hub import HubFile, Listing
from tests.generator.fetching.conftest import NAME

if TYPE_CHECKING:
    from pathlib import Path


def _listing(*names: str) -> Listing:
    files = {
        name: HubFile(name=name, size=place, digest="0", algorithm="git")
        for place, name in enumerate(names)
    }
    return Listing(commit="0", files=files)


@pytest.mark.parametrize(
    ("names", "taken"),
    [
        (("a-f16.gguf", "a-Q8_0.gguf", "a-Q4_K_M.gguf"), "a-Q8_0.gguf"),
        (("a-BF16.gguf", "a.Q4_K_M.gguf", "a.Q6_K.gguf", "a.IQ3_XXS.gguf"), "a.Q6_K.gguf"),
        (("a-Q4_K_S.gguf", "a-Q4_K_M.gguf"), "a-Q4_K_M.gguf"),
        (("whatever.gguf",), "whatever.gguf"),
        (("a-Q8_0-00001-of-00002.gguf", "a-Q4_0.gguf"), "a-Q4_0.gguf"),
    ],
)
def test_the_file_in_8_bits_is_taken_or_the_nearest_below(
    names: tuple[str, ...], taken: str
) -> None:
    assert gguf_of(_listing(*names), NAME, None).name == taken


@pytest.mark.parametrize(
    ("names", "wanted", "sentence"),
    [
        (("one.gguf", "two.gguf"), None, r"say --file, of one\.gguf, two\.gguf"),
        (("a-F16.gguf", "a-F32.gguf"), None, "say --file"),
        (("a-Q8_0-00001-of-00002.gguf",), None, "in parts"),
        (("a-Q8_0-00001-of-00002.gguf",), "a-Q8_0-00001-of-00002.gguf", "one of several parts"),
        (("a.gguf",), "b.gguf", r"no GGUF file 'b\.gguf'; it has a\.gguf"),
        (("A.GGUF",), None, "neither safetensors nor GGUF"),
        (("A.GGUF",), "A.GGUF", r"no GGUF file 'A\.GGUF'; it has none"),
    ],
)
def test_where_there_is_no_telling_which_it_asks(
    names: tuple[str, ...], wanted: str | None, sentence: str
) -> None:
    with pytest.raises(FetchError, match=sentence):
        gguf_of(_listing(*names), NAME, wanted)


def test_bits_are_read_from_names() -> None:
    names = (
        "x-IQ2_XS.gguf",
        "SmolLM2-135M-Instruct.Q4_1.gguf",
        "m-bf16.gguf",
        "x-fp32.gguf",
        "Q.gguf",
    )
    assert [bits_of(name) for name in names] == [2, 4, 16, 32, None]


@pytest.mark.parametrize(
    "index",
    [
        '{"weight_map": {}}',
        '{"weight_map": {"a": "pytorch_model.bin"}}',
        '{"weight_map": {"a": "a.safetensors", "b": "pytorch_model.bin"}}',
        '{"weight_map": {"a": "b.safetensors"}}',
        '{"weight_map": {"a": ["a.safetensors"]}}',
        "[" * 100_000,
    ],
)
def test_an_index_that_does_not_say_where_the_weights_are_is_refused(
    index: str, tmp_path: Path
) -> None:
    (tmp_path / INDEX).write_text(index)
    listing = _listing(INDEX, "a.safetensors", "pytorch_model.bin")
    with pytest.raises(FetchError, match="does not say where the weights are"):
        weights_of(listing, tmp_path / INDEX)
