"""`python -m generator fetch`, from a hub on loopback."""

from __future__ import annotations

import json
import os
import pickle
import signal
import subprocess
import sys
import threading
import time
from typing import TYPE_CHECKING

import pytest

from generator.config import EngineSettings
from generator.engine.errors import EngineError
from generator.fetching import trial
from generator.fetching.choosing import INDEX, bits_of, gguf_of, weights_of
from generator.fetching.errors import FetchError
from generator.fetching.hub import Hub, HubFile, Listing
from generator.fetching.whole import fetch
from generator.models.loading import load_model
from generator.native import NativeStepError
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


def test_a_whole_fetch_brings_the_model_and_says_how_fast_it_is(
    opened: SmallHub, kept: Repository, files: dict[str, bytes], tmp_path: Path
) -> None:
    """As its host runs it: the size first, the speed last, and nothing that could hold code."""
    kept.gated = True
    environment = os.environ | {"HF_ENDPOINT": opened.address, "HF_TOKEN": "hf_somebodys"}
    run = subprocess.run(
        [sys.executable, "-m", "generator", "fetch", NAME, "--models", str(tmp_path / "models")],
        env=environment | {"HF_HOME": str(tmp_path / "home")},
        capture_output=True,
        text=True,
        check=False,
    )
    assert run.returncode == 0, run.stderr
    first, second, last = run.stdout.splitlines()
    assert first.startswith(f"{NAME} at {kept.commit[:12]}: config.json, ")
    assert "model.safetensors; 0." in first
    assert first.endswith(" MB")
    assert second.endswith("/models/teller is whole and checked; telling from it …")
    assert last.startswith("teller can be told: ")
    assert "128 tokens of prompt and story" in last
    there = {file.name: file.read_bytes() for file in (tmp_path / "models/teller").iterdir()}
    assert there == files
    assert [place.name for place in (tmp_path / "models").iterdir()] == ["teller"]


def test_a_cut_line_is_gone_on_with(
    opened: SmallHub, kept: Repository, hub: Hub, files: dict[str, bytes], tmp_path: Path
) -> None:
    kept.cuts = [3000, 9_000_000, 100_000]
    folder = fetch(hub, tmp_path)
    assert {file.name: file.read_bytes() for file in folder.iterdir()} == files
    gone_on = [name for name, since in opened.asked if since is not None]
    assert gone_on == ["tokenizer.json", "model.safetensors"]


def test_ctrl_c_leaves_a_part_and_the_next_call_goes_on_from_it(
    opened: SmallHub, kept: Repository, hub: Hub, files: dict[str, bytes], tmp_path: Path
) -> None:
    main = threading.main_thread().ident
    assert main is not None

    def press() -> None:
        while not any(
            part.stat().st_size for part in (tmp_path / ".teller.fetching").glob("model*.part")
        ):
            time.sleep(0.01)  # until what came is on the disk
        signal.pthread_kill(main, signal.SIGINT)

    kept.cuts, kept.at_cut = [9_000_000, 100_000], press
    with pytest.raises(KeyboardInterrupt):
        fetch(hub, tmp_path)
    assert not (tmp_path / "teller").exists()
    assert [place.name for place in tmp_path.iterdir()] == [".teller.fetching"]
    (part,) = (tmp_path / ".teller.fetching").glob("*.part")
    assert 0 < part.stat().st_size <= 100_000
    opened.asked.clear()
    at = f"bytes={part.stat().st_size}-"
    folder = fetch(hub, tmp_path)
    assert at in [since for _, since in opened.asked]
    assert {file.name: file.read_bytes() for file in folder.iterdir()} == files


def test_a_damaged_file_is_deleted_and_the_folder_never_appears(
    kept: Repository, hub: Hub, tmp_path: Path
) -> None:
    kept.damaged = {"model.safetensors"}
    with pytest.raises(FetchError, match=r"model\.safetensors came damaged"):
        fetch(hub, tmp_path)
    assert not (tmp_path / "teller").exists()
    assert not list((tmp_path / ".teller.fetching").glob("model.safetensors*"))
    kept.damaged = set()
    assert load_model(fetch(hub, tmp_path)).name == "teller"


def test_a_hub_that_sends_nothing_more_is_given_up(
    kept: Repository, hub: Hub, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    rests: list[float] = []
    monkeypatch.setattr("generator.fetching.download.time.sleep", rests.append)
    kept.cuts = [0] * 10
    with pytest.raises(FetchError, match=r"cannot be reached, or broke off"):
        fetch(hub, tmp_path)
    assert rests == [1, 2, 4]


def test_a_new_version_on_the_hub_leaves_nothing_of_the_old(
    kept: Repository, hub: Hub, files: dict[str, bytes], tmp_path: Path
) -> None:
    kept.damaged = {"model.safetensors"}
    with pytest.raises(FetchError):
        fetch(hub, tmp_path)
    (tmp_path / ".teller.fetching" / "model-00001-of-00002.safetensors").write_bytes(b"old")
    kept.damaged, kept.files = set(), kept.files | {"generation_config.json": b"{}"}
    folder = fetch(hub, tmp_path)
    assert {file.name for file in folder.iterdir()} == set(files) | {"generation_config.json"}
    assert (folder / "generation_config.json").read_bytes() == b"{}"


def test_a_folder_that_is_there_is_replaced_only_if_asked(hub: Hub, tmp_path: Path) -> None:
    (tmp_path / "teller").mkdir()
    (tmp_path / "teller" / "mine.txt").write_text("mine")
    with pytest.raises(FetchError, match="is there already; --force replaces it"):
        fetch(hub, tmp_path)
    folder = fetch(hub, tmp_path, force=True)
    assert not (folder / "mine.txt").exists()
    assert [place.name for place in tmp_path.iterdir()] == ["teller"]


@pytest.mark.parametrize("name", ["ssh", "teller.fetching", "teller.replaced", "teller.old"])
def test_a_folder_that_is_not_of_a_fetch_is_left_alone(
    name: str, opened: SmallHub, kept: Repository, hub: Hub, tmp_path: Path
) -> None:
    """`--models ~` with a model called ssh emptied ~/.ssh."""
    opened.repositories[f"someone/{name}"] = kept
    keys = [tmp_path / f".{name}" / "id_ed25519", tmp_path / f".{name}.old" / "id_ed25519"]
    if name.startswith("teller"):
        fetch(hub, tmp_path)
        keys = [tmp_path / "teller" / "config.json"]
    for key in keys:
        key.parent.mkdir(exist_ok=True)
        key.touch()
    folder = fetch(Hub(f"someone/{name}", endpoint=opened.address), tmp_path)
    fetch(hub, tmp_path, force=True)
    assert all(key.exists() for key in keys)
    assert (folder / "config.json").exists()


def test_where_it_begins_there_is_nothing_of_others(hub: Hub, tmp_path: Path) -> None:
    mine = tmp_path / "mine" / "note.txt"
    mine.parent.mkdir()
    mine.touch()
    begun = tmp_path / ".teller.fetching"
    begun.symlink_to(mine.parent)
    with pytest.raises(FetchError, match=r"\.teller\.fetching is a link"):
        fetch(hub, tmp_path)
    begun.unlink()
    mine.parent.rename(begun)
    with pytest.raises(FetchError, match=r"note\.txt is not of a fetch: move it away"):
        fetch(hub, tmp_path)
    assert [place.name for place in begun.iterdir()] == ["note.txt"]


@pytest.mark.parametrize("kind", ["link", "dangling", "file"])
def test_a_link_or_a_file_in_its_place_is_replaced_too(kind: str, hub: Hub, tmp_path: Path) -> None:
    """Twice, as what stood there stood in the way of the second call for good."""
    elsewhere, models = tmp_path / "elsewhere", tmp_path / "models"
    models.mkdir()
    if kind == "link":
        elsewhere.mkdir()
        (elsewhere / "mine.txt").touch()
    for _ in range(2):
        if kind == "file":
            (models / "teller").touch()
        else:
            (models / "teller").symlink_to(elsewhere)
        with pytest.raises(FetchError, match="is there already"):
            fetch(hub, models)
        folder = fetch(hub, models, force=True)
        assert [place.name for place in models.iterdir()] == ["teller"]
        assert not folder.is_symlink()
        folder.rename(tmp_path / f"first {time.monotonic_ns()}")
    assert kind != "link" or (elsewhere / "mine.txt").exists()


def test_two_calls_do_not_write_the_same_file(
    kept: Repository, hub: Hub, opened: SmallHub, tmp_path: Path
) -> None:
    said: list[str] = []
    again = Hub(NAME, endpoint=opened.address)

    def second() -> None:
        try:
            fetch(again, tmp_path)
        except FetchError as error:
            said.append(str(error))
        main = threading.main_thread().ident
        assert main is not None
        signal.pthread_kill(main, signal.SIGINT)

    kept.cuts, kept.at_cut = [3000], lambda: threading.Thread(target=second).start()
    with pytest.raises(KeyboardInterrupt):
        fetch(hub, tmp_path)
    assert said == ["teller is being fetched already"]


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


def test_speed_counts_tokens_after_the_first_delivery() -> None:
    assert trial._speed([(0.0, 0), (5.0, 1), (6.0, 10), (7.0, 10)]) == 10
    assert trial._speed([(0.0, 0), (2.0, 10)]) == 5


def test_a_prompt_longer_than_the_context_is_cut(
    source: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(trial, "_PROMPT", "In the year 1990, a young " * 100)
    assert " tokens/s for one story" in trial._told(source, EngineSettings())


@pytest.mark.parametrize(
    ("error", "sentence"),
    [
        (EngineError("No."), r"^No\. The folder stays"),
        (NativeStepError("no memory"), r"teller cannot be told: no memory\. The folder stays"),
        (type("PanicException", (BaseException,), {})("index"), r"cannot be told: index\. "),
        (ValueError(), r"teller cannot be told: ValueError\. The folder stays"),
    ],
)
def test_a_model_that_cannot_be_told_is_one_sentence(
    error: BaseException, sentence: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def fail(*_: object) -> str:
        raise error

    monkeypatch.setattr(trial, "_tell", fail)
    with pytest.raises(FetchError, match=sentence):
        trial._told(tmp_path / "teller", EngineSettings())
