"""`python -m generator fetch`: what comes, what goes on, and what is left alone."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
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
