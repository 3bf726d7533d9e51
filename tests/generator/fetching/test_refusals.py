"""What a fetch refuses, each in one sentence, and when."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from generator.fetching.errors import FetchError
from generator.fetching.hub import Hub
from generator.fetching.whole import fetch
from generator.models.loading import load_model

if TYPE_CHECKING:
    from pathlib import Path

    from tests.generator.small_hub import Repository, SmallHub

from tests.generator.fetching.conftest import NAME


@pytest.mark.parametrize(
    ("name", "sentence"),
    [
        ("someone/nobody", "has no model someone/nobody, or it is private"),
        ("some one/teller", "is no model's name"),
        ("../teller", "is no model's name"),
        ("someone/..", "is no model's name"),
    ],
)
def test_a_name_that_is_none_is_said(
    name: str, sentence: str, opened: SmallHub, tmp_path: Path
) -> None:
    with pytest.raises(FetchError, match=sentence):
        fetch(Hub(name, endpoint=opened.address), tmp_path)


def test_a_revision_that_is_none_is_said(hub: Hub, opened: SmallHub, tmp_path: Path) -> None:
    with pytest.raises(FetchError, match=r"someone/teller has no revision 'v9'"):
        fetch(Hub(NAME, "v9", endpoint=opened.address), tmp_path)
    assert fetch(hub, tmp_path).name == "teller"


def test_a_token_that_is_none_is_said(hub: Hub, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_TOKEN", "hf_é")
    with pytest.raises(FetchError, match="HF_TOKEN or the revision has letters"):
        hub.list()


def test_who_must_ask_first_is_told_where(kept: Repository, hub: Hub, tmp_path: Path) -> None:
    kept.gated = True
    with pytest.raises(FetchError, match=r"only who asked for it: do so at http.*HF_TOKEN"):
        fetch(hub, tmp_path)


def test_a_hub_that_is_not_there_is_one_sentence(tmp_path: Path) -> None:
    with pytest.raises(FetchError, match=r"^http://127.0.0.1:9 cannot be reached"):
        fetch(Hub(NAME, endpoint="http://127.0.0.1:9"), tmp_path)


def test_what_the_disk_has_no_room_for_is_not_begun(
    opened: SmallHub, kept: Repository, hub: Hub, tmp_path: Path
) -> None:
    kept.claims = {"model.safetensors": 10**17}
    with pytest.raises(FetchError, match=r"takes 100000000\.00 GB more, and .* has .* left"):
        fetch(hub, tmp_path)
    assert {name for name, _ in opened.asked} == {"config.json"}


def test_a_file_longer_than_said_is_not_read_on(kept: Repository, hub: Hub, tmp_path: Path) -> None:
    kept.claims = {"model.safetensors": 5000}
    with pytest.raises(FetchError, match=r"is longer than the 5000 bytes that the hub says"):
        fetch(hub, tmp_path)


_FILE = {"rfilename": "a.gguf", "size": 1, "blobId": "0" * 40}


def _description(file: object, sha: object = "0" * 40) -> str:
    return json.dumps({"id": NAME, "sha": sha, "siblings": [file]})


@pytest.mark.parametrize(
    "says",
    [
        "<html>hello</html>",
        "[" * 100_000,
        "[]",
        "3",
        "{}",
        '{"id": "someone/teller"}',
        '{"id": "someone/teller", "createdAt": 7}',
        _description("a.gguf"),
        _description({}),
        _description(_FILE, sha=None),
        _description(_FILE, sha=7),
        _description(_FILE, sha="\x1b[2J"),
        _description(_FILE | {"rfilename": None}),
        _description(_FILE | {"size": "1"}),
        _description(_FILE | {"size": -1}),
        _description(_FILE | {"size": 1.5}),
        _description(_FILE | {"size": 10**400}),
        _description(_FILE | {"blobId": "../../x"}),
        _description(_FILE | {"blobId": 7}),
        _description(_FILE | {"lfs": {"sha256": "0" * 40, "size": 1, "pointerSize": 1}}),
        _description(_FILE | {"lfs": [1]}),
    ],
)
def test_what_speaks_otherwise_is_no_hub(
    says: str, kept: Repository, hub: Hub, tmp_path: Path
) -> None:
    kept.says = says
    with pytest.raises(FetchError, match=r"^http://\S+ is no hub of models"):
        fetch(hub, tmp_path)


@pytest.mark.parametrize("says", ["<html>hello</html>", "[]", '{"gguf": {}}'])
def test_nor_is_what_does_so_of_a_gguf(says: str, kept: Repository, hub: Hub) -> None:
    kept.says = says
    with pytest.raises(FetchError, match="is no hub of models"):
        hub.architecture()


@pytest.mark.parametrize("name", ["a\0.gguf", "\x1b[2J.gguf", "a\n.gguf", "\ud800.gguf"])
def test_a_name_that_would_command_a_terminal_is_not_taken(
    name: str, kept: Repository, hub: Hub, tmp_path: Path
) -> None:
    kept.says = _description(_FILE | {"rfilename": name})
    assert not hub.list().files
    with pytest.raises(FetchError, match="has neither safetensors nor GGUF"):
        fetch(hub, tmp_path)


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"model_type": "bert"}, "a bert model cannot be told"),
        ({"quantization_config": {"quant_method": "gptq", "bits": 4}}, "has its weights packed"),
        ({"hidden_act": 7}, "cannot be read|could not be told"),
    ],
)
def test_what_could_not_be_told_is_said_before_its_weights_come(
    change: dict[str, object],
    sentence: str,
    opened: SmallHub,
    kept: Repository,
    hub: Hub,
    tmp_path: Path,
) -> None:
    config = json.loads(kept.files["config.json"]) | change
    kept.files["config.json"] = json.dumps(config).encode()
    with pytest.raises(FetchError, match=sentence):
        fetch(hub, tmp_path)
    assert {name for name, _ in opened.asked} == {"config.json"}


def test_settings_nested_without_end_are_one_sentence(
    kept: Repository, hub: Hub, tmp_path: Path
) -> None:
    kept.files["config.json"] = b"[" * 100_000
    with pytest.raises(FetchError, match=r"cannot be read"):
        fetch(hub, tmp_path)


def test_pickles_are_not_taken(
    kept: Repository, hub: Hub, opened: SmallHub, tmp_path: Path
) -> None:
    del kept.files["model.safetensors"]
    with pytest.raises(FetchError, match=r"neither safetensors nor GGUF: .* can hold code"):
        fetch(hub, tmp_path)
    assert not opened.asked


def test_a_gguf_is_a_model_of_one_file(
    kept: Repository, hub: Hub, gguf: bytes, tmp_path: Path
) -> None:
    kept.files = {"README.md": b"", "teller-Q8_0.gguf": gguf, "teller-f16.gguf": gguf + b"\0"}
    kept.architecture = "llama"
    folder = fetch(hub, tmp_path)
    assert [file.name for file in folder.iterdir()] == ["teller-Q8_0.gguf"]
    assert load_model(folder).ends == (0,)
    fetch(hub, tmp_path, file="teller-f16.gguf", force=True)
    assert [file.name for file in folder.iterdir()] == ["teller-f16.gguf"]


def test_a_gguf_of_another_kind_is_not_fetched(
    kept: Repository, hub: Hub, gguf: bytes, opened: SmallHub, tmp_path: Path
) -> None:
    kept.files, kept.architecture = {"teller-Q8_0.gguf": gguf}, "gemma3"
    with pytest.raises(FetchError, match="is of the kind 'gemma3'; from GGUF"):
        fetch(hub, tmp_path)
    assert not opened.asked


def test_a_gguf_that_is_whole_and_none_is_not_put_there(
    kept: Repository, hub: Hub, tmp_path: Path
) -> None:
    kept.files = {"teller.gguf": b"GGUF" + bytes(5000)}
    with pytest.raises(FetchError, match=r"could not be told: .* version 0"):
        fetch(hub, tmp_path)
    assert not (tmp_path / "teller").exists()
