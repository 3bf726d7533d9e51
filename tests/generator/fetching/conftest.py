"""A hub on loopback that has one model, which the tests change as they need it."""

from __future__ import annotations

import pickle
from typing import TYPE_CHECKING

import pytest

from generator.fetching.hub import Hub
from tests.generator.small_folders import save_llama
from tests.generator.small_ggufs import save_gguf
from tests.generator.small_hub import Repository, SmallHub, open_hub

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


NAME = "someone/teller"


@pytest.fixture(scope="module")
def opened() -> Iterator[SmallHub]:
    with open_hub() as hub:
        yield hub


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_llama(tmp_path_factory.mktemp("hub") / "source")


@pytest.fixture(scope="module")
def gguf(tmp_path_factory: pytest.TempPathFactory, source: Path) -> bytes:
    return save_gguf(tmp_path_factory.mktemp("gguf") / "teller", source).read_bytes()


@pytest.fixture
def files(source: Path) -> dict[str, bytes]:
    return {file.name: file.read_bytes() for file in source.iterdir()}


@pytest.fixture
def kept(opened: SmallHub, files: dict[str, bytes]) -> Iterator[Repository]:
    """The hub's one model, with more than what is taken."""
    more = {"README.md": b"# hello", "pytorch_model.bin": pickle.dumps([1] * 5000), "run.py": b"1"}
    opened.repositories[NAME] = Repository(files=files | more)
    opened.asked.clear()
    yield opened.repositories[NAME]
    opened.repositories.clear()


@pytest.fixture
def hub(opened: SmallHub, kept: Repository) -> Hub:  # noqa: ARG001  # it is there
    return Hub(NAME, endpoint=opened.address)
