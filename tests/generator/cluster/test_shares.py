"""How many replicas there are where nobody says so, and what is said of wrong wishes."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

import pytest

from generator.__main__ import main
from generator.cluster.shares import ClusterSettings, shared
from generator.config import EngineSettings

if TYPE_CHECKING:
    from generator.cluster.shares import Share


def share(
    wished: dict[str, Any] | None = None, *, cores: int = 4, gpus: int = 0, **engine: Any
) -> Share:
    return shared(
        ClusterSettings.checked(wished or {}),
        EngineSettings(**engine),
        cores=cores,
        gpus=gpus,
        one_machine=True,
    )


@pytest.mark.parametrize(
    ("cores", "gpus", "wished", "replicas", "most", "threads"),
    [
        (1, 0, {}, 1, 1, 1),
        (4, 0, {}, 4, 4, 1),
        (32, 0, {}, 8, 8, 4),
        (32, 0, {"cores": 16}, 2, 2, 16),
        (4, 0, {"replicas": 2}, 2, 2, 2),
        (4, 0, {"replicas": 1, "max_replicas": 2}, 1, 2, 2),
        (2, 0, {"replicas": 3}, 3, 3, 1),
        (16, 2, {}, 2, 2, 8),
        (16, 2, {"gpus": 0.5}, 4, 4, 4),
    ],
)
def test_replicas_share_what_there_is(
    cores: int, gpus: int, wished: dict[str, Any], replicas: int, most: int, threads: int
) -> None:
    found = share(wished, cores=cores, gpus=gpus)
    assert (found.replicas, found.max_replicas) == (replicas, most)
    assert found.engine.threads == threads
    # Ray has to find the cores of all of them, or the last would wait for ever.
    assert found.cores * found.max_replicas <= cores
    assert found.gpus * found.max_replicas <= gpus


def test_replicas_on_cores_share_the_memory_of_the_machine() -> None:
    one, two = share(), share({"replicas": 2})
    assert one.engine.memory * 4 == pytest.approx(two.engine.memory * 2)
    assert share(memory=1.5).engine.memory == 1.5
    assert share(gpus=1).engine.memory == 0  # each has a GPU's own


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["--replicas", "many"], "replicas takes a whole number from 0 (as many as"),
        (["--replicas", "3", "--max-replicas", "2"], "max_replicas takes a number from replicas"),
        (["--gpus", "nan"], "gpus takes a part from 0"),
        (["--slots", "0"], "engine.slots takes a whole number"),
        (["--host", "192.0.2.1"], "engine.host 192.0.2.1 is open to others: give the keys"),
    ],
)
def test_a_wrong_setting_is_one_line_and_status_2(
    arguments: list[str], sentence: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["cluster", *arguments]) == 2
    error = capsys.readouterr().err
    assert sentence in error
    assert error.count("\n") == 1


def test_without_ray_one_sentence_says_what_to_install(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "ray", None)  # as if it were not there
    for name in [name for name in sys.modules if name.startswith("generator.cluster.")]:
        monkeypatch.delitem(sys.modules, name)
    assert main(["cluster", "--address", "auto"]) == 2
    assert capsys.readouterr().err == (
        "A cluster needs ray, which is not installed: "
        "pip install -c constraints.txt '.[generator,cluster]'\n"
    )


def test_help_teaches(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main(["cluster", "--help"])
    assert ended.value.code == 0
    said = capsys.readouterr().out
    for lesson in ("--replicas 2", "--address auto", "deploy/rayservice.yaml"):
        assert lesson in said
