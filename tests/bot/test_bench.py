"""`python -m bot bench` before a crowd: it runs, and its last line has what was promised."""

from __future__ import annotations

import asyncio
import json
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from bot.__main__ import main
from bot.bench import flood, lasting, pressing, queues
from bot.bench.figures import percentile, print_json
from bot.bench.running import BenchError
from bot.bench.waiting import has_words

if TYPE_CHECKING:
    from tests.bot.teller import Teller

PROMISED = {"ack_p50_ms", "ack_p99_ms", "accepted_per_second", "rss_mb"}


def last_line(capsys: pytest.CaptureFixture[str], figures: dict[str, object]) -> dict[str, Any]:
    print_json(figures)
    read: dict[str, Any] = json.loads(capsys.readouterr().out.splitlines()[-1])
    return read


async def test_a_crowd_presses_and_types_and_every_wait_is_counted(
    tells: Teller, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("KATARIBE_GENERATOR__URL", tells.url)
    monkeypatch.setenv("KATARIBE_STORIES__WORDS_PER_SECOND", "0")
    said = last_line(capsys, await pressing.press(4, 1.0, pause=0.1))
    assert set(said) >= PROMISED
    assert said["interactions"] > 4
    assert 0 < said["ack_p50_ms"] <= said["ack_p99_ms"] <= said["ack_worst_ms"]
    assert said["requests_over_the_limit"] == 0


async def test_of_a_flood_each_wish_is_accepted_or_refused(
    tells: Teller, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("KATARIBE_GENERATOR__URL", tells.url)
    monkeypatch.setenv("KATARIBE_STORIES__WORDS_PER_SECOND", "0")
    said = last_line(capsys, await flood.flood(60, 0.5, None))
    assert set(said) >= PROMISED
    assert said["interactions"] == 30
    parts = ("wishes_accepted", "wishes_undecided", "wishes_refused", "unanswered")
    assert sum(said[part] for part in parts) == 30


async def test_its_memory_is_read_as_stories_are_told(
    tells: Teller, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("KATARIBE_GENERATOR__URL", tells.url)
    monkeypatch.setenv("KATARIBE_STORIES__WORDS_PER_SECOND", "0")
    said = last_line(capsys, await lasting.last(20))
    # Those that had to be told first that the bot thinks are told their story as well.
    assert said["wishes_accepted"] + said["wishes_undecided"] == 20
    assert len(said["rss_mb_by_part"]) == lasting.PARTS
    assert said["rss_growth"] >= 0


def _children(pid: int) -> list[str]:
    return Path(f"/proc/{pid}/task/{pid}/children").read_text().split()


def _lives(pid: str) -> bool:
    return Path(f"/proc/{pid}").exists()


@pytest.mark.parametrize(
    "given", [("bench", "--told", "1000"), ("simulate", "--check")], ids=" ".join
)
async def test_when_it_is_told_to_end_its_bot_ends_too(
    tells: Teller, given: tuple[str, ...]
) -> None:
    bench = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "bot", *given),
        env={**os.environ, "KATARIBE_GENERATOR__URL": tells.url},
        stderr=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.DEVNULL,
    )
    async with asyncio.timeout(60):
        await tells.wished(1)
    children = _children(bench.pid)
    bench.terminate()
    assert await bench.wait() == 130
    assert children
    assert not any(map(_lives, children))


async def test_a_bot_that_cannot_start_is_one_sentence(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KATARIBE_QUEUE__TELLERS", "many")
    with pytest.raises(BenchError, match="did not start"):
        await flood.flood(1, 1, None)


async def test_our_queue_is_measured_where_no_other_is_installed(
    capsys: pytest.CaptureFixture[str],
) -> None:
    said = last_line(capsys, await queues.compare(20, None))
    assert {f"ours_sqlite_{step}_per_second" for step in ("enqueue", "claim", "finish")} < set(said)


@pytest.mark.parametrize("given", [["--members", "0"], ["--rate", "nan"], ["--rate", "-1"]])
def test_a_number_that_cannot_be_measured_is_a_mistake(
    given: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as ended:
        main(["bench", *given])
    assert ended.value.code == 2
    assert f"{given[1]} is no " in capsys.readouterr().err


@pytest.mark.parametrize(
    ("page", "has"), [("**One**", False), ("**One**▌", False), ("**One** day▌", True)]
)
async def test_a_cursor_alone_is_no_first_word(page: str, *, has: bool) -> None:
    assert has_words(page, "One") is has


def test_a_percentile_is_one_of_the_values() -> None:
    values = [float(n) for n in range(1, 101)]
    assert (percentile(values, 50), percentile(values, 99), percentile([7.0], 99)) == (50, 99, 7)


def test_processes_are_measured_on_a_database_of_the_hosts(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert main(["bench", "--processes", "2"]) == 2
    assert capsys.readouterr().err == "--processes takes --jobs and --database as well\n"
