"""What whoever runs the bot sees and does, and nobody else."""

from __future__ import annotations

import math
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

import pytest
from prometheus_client import CollectorRegistry, Gauge, generate_latest

from bot.apologies import NotHostError
from bot.watching import KEPT
from bot.worker.gauges import Gauges
from tests.bot.teller import answers, well
from tests.bot.world import World, footer, labels, page, reply, whisper, world

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

METRICS = """\
# HELP kataribe_tokens_total Tokens read (prompt) and written (completion).
kataribe_tokens_total{kind="prompt",model="gpt2-starter"} 5.0
kataribe_tokens_total{kind="completion",model="gpt2-starter"} 100.0
kataribe_tokens_total{kind="completion",model="lstm-starter"} 20.0
kataribe_slots_in_use{model="gpt2-starter"} 2.0
kataribe_model_bytes{model="gpt2-starter"} 4.2e+07
kataribe_model_bytes{model="odd"} NaN
python_info{version="3"} 1.0
"""


@asynccontextmanager
async def hosted(folder: Path, **settings: Any) -> AsyncIterator[World]:
    """A world whose moderator also runs the bot."""
    async with world(folder, **settings) as w:
        application = w.client.application
        assert application is not None
        application.owner.id = w.mod.id
        yield w


@pytest.mark.parametrize(
    ("command", "options"),
    [
        ("status", {}),
        ("load", {"model": "gpt2-starter"}),
        ("unload", {"model": "gpt2-starter"}),
        ("pause", {}),
        ("resume", {}),
        ("announce", {"text": "hello"}),
    ],
)
async def test_nobody_but_the_host_is_let_in(
    tmp_path: Path, command: str, options: dict[str, str]
) -> None:
    async with hosted(tmp_path) as w:
        commands = await w.client.tree.fetch_commands()
        host = next(c for c in commands if c.name == "host")
        w.env.guild.set_command_permissions(host, {w.aki: True})
        result = await w.aki.slash(w.channel, f"host {command}", **options)
        assert w.refused(result, NotHostError) == "That is for whoever runs me."
        assert not w.services.bell.paused
        assert w.teller.commanded == []


async def test_the_host_sees_how_the_bot_is(tmp_path: Path) -> None:
    async with hosted(tmp_path, queue={"tellers": 1}) as w:
        w.teller.metrics = METRICS
        w.teller.hold()
        for member in (w.aki, w.ben):
            await member.slash(w.channel, "story", prompt="In the year")
        await w.until(lambda: w.teller.asked)
        shown = reply(await w.mod.user.slash("host status"))
        assert "Waiting: 1 · being told: 1" in page(shown)
        assert "**gpt2-starter** · 42 MB at most · telling 2" in page(shown)
        assert "look once more" in page(shown)
        assert "shards 1 · servers 1" in page(shown)
        await w.teller.release()


async def test_tokens_a_second_are_counted_between_two_looks(tmp_path: Path) -> None:
    async with hosted(tmp_path) as w:
        w.teller.metrics = METRICS
        await w.mod.user.slash("host status")
        w.teller.metrics = METRICS.replace(" 20.0", " 220.0")
        await w.env.advance_time(10)
        shown = page(reply(await w.mod.user.slash("host status")))
        assert "20.0 tokens a second in the last 10 s" in shown
        # A generator that was started anew counts from nothing.
        w.teller.metrics = ""
        shown = page(reply(await w.mod.user.slash("host status")))
        assert "look once more" in shown
        assert "No model is in memory." in shown


async def test_what_a_generator_measures_may_be_nonsense(tmp_path: Path) -> None:
    async with hosted(tmp_path) as w:
        named = "kataribe_model_bytes{{model={}}} {}\n".format
        sizes = [named(f'"{"m_" * 40}{nth}"', 2e9) for nth in range(60)]
        sizes += [named('"a"', 1.7e308), named('"b"', 1.7e308), named('"c"', -1e300)]
        w.teller.metrics = "".join(sizes)
        await w.services.watching.look(0.1)
        shown = page(reply(await w.mod.user.slash("host status")))
        assert "2,000 MB at most" in shown
        assert "more" in shown
        assert w.services.watching.courses["memory"] == (120_000.0,)


async def test_the_host_sees_how_the_last_hours_went(tmp_path: Path) -> None:
    async with hosted(tmp_path, queue={"tellers": 1}) as w:
        watching = w.services.watching
        w.teller.metrics = METRICS
        await watching.look(math.nan)  # no gateway has answered yet
        w.teller.metrics = METRICS.replace(" 20.0", " 620.0")
        w.teller.hold()
        for member in (w.aki, w.ben):
            await member.slash(w.channel, "story", prompt="In the year")
        await watching.look(0.045)
        w.completions.url = "http://127.0.0.1:9"
        await watching.look(0.03)
        courses = {name: list(values) for name, values in watching.courses.items()}
        before, pace, after = courses.pop("pace")
        assert before is None is after
        assert pace is not None
        assert pace > 0
        assert courses == {
            "queue": [0, 2, 2],
            "memory": [42, 42, None],
            "latency": [None, pytest.approx(45), pytest.approx(30)],
        }
        shown = reply(await w.mod.user.slash("host status"))
        (chart,) = shown.message.attachments
        assert chart.description is not None
        assert "Stories that wait or are told: 2 now, 2 at most" in chart.description
        assert "45 at most" in chart.description
        # Whoever asks sees this minute as it is now, and no minute is counted twice.
        assert len(watching.courses["queue"]) == 3
        await w.teller.release()


async def test_looks_older_than_six_hours_are_forgotten(tmp_path: Path) -> None:
    async with hosted(tmp_path) as w:
        w.completions.url = None
        for second in range(KEPT + 3):
            await w.services.watching.look(second / 1000)
        latency = w.services.watching.courses["latency"]
        assert (len(latency), latency[0]) == (KEPT, 3)


async def test_a_generator_that_is_away_is_said_so(tmp_path: Path) -> None:
    async with hosted(tmp_path) as w:
        await w.services.catalogue.models()  # they were known before
        w.completions.url = "http://127.0.0.1:9"
        shown = page(reply(await w.mod.user.slash("host status")))
        assert shown.startswith("**The generator is away**, and its stories wait: ")
        assert "Stories are told." not in shown
        said = await w.mod.user.slash("host load", model="lstm-starter")
        assert reply(said).content.startswith("**The generator is away**")


async def test_a_server_that_measures_nothing_tells_all_the_same(tmp_path: Path) -> None:
    async with hosted(tmp_path) as w, answers(well) as url:
        w.completions.url = url
        shown = page(reply(await w.mod.user.slash("host status")))
        assert shown.startswith("Stories are told.")
        assert "The generator measures nothing: " in shown


def test_what_prometheus_reads_is_read() -> None:
    gauges = Gauges.read(METRICS)
    assert gauges.memory == {"gpt2-starter": 42_000_000}
    assert gauges.telling == {"gpt2-starter": 2}
    assert gauges.written == 120


@pytest.mark.parametrize("name", ["a}b", "{}", 'the "best"', "back\\slash", "a,model=b", "ラノベ"])
def test_a_models_name_is_read_as_its_folder_has_it(name: str) -> None:
    registry = CollectorRegistry()
    size = Gauge("kataribe_model_bytes", "Memory.", ["model"], registry=registry)
    size.labels(name).set(42)
    assert Gauges.read(generate_latest(registry).decode()).memory == {name: 42}


def replicated(*up: int) -> str:
    """What a generator of several replicas measures: each of them what one does."""
    lines = [
        line.replace("{", f'{{replica="r{nth}",')
        for nth in range(len(up))
        for line in METRICS.splitlines()
        if line.startswith("kataribe")
    ]
    lines += [f'kataribe_replica_up{{replica="r{nth}"}} {one}' for nth, one in enumerate(up)]
    return "\n".join(lines)


async def test_what_replicas_measure_is_summed_and_a_silent_one_is_said(tmp_path: Path) -> None:
    async with hosted(tmp_path) as w:
        w.teller.metrics = replicated(1, 0)
        shown = page(reply(await w.mod.user.slash("host status")))
        assert "**gpt2-starter** · 84 MB at most · telling 4" in shown
        assert "Replicas of the generator: 1 of 2 answer" in shown
    gauges = Gauges.read(replicated(1, 0))
    assert (gauges.written, gauges.replicas) == (240, {"r0": True, "r1": False})


async def test_the_host_loads_and_unloads_models(tmp_path: Path) -> None:
    async with hosted(tmp_path) as w:
        for what, said in (("load", "is in memory."), ("unload", "is not in memory any more.")):
            result = await w.mod.user.slash(f"host {what}", model="GPT2-starter")
            assert reply(result).content == f"**gpt2-starter** {said}"
        assert w.teller.commanded == [("gpt2-starter", "load"), ("gpt2-starter", "unload")]
        w.teller.full = True
        result = await w.mod.user.slash("host load", model="lstm-starter")
        assert "There is no room for the model" in reply(result).content


async def test_a_model_of_another_server_is_not_the_hosts_to_load(tmp_path: Path) -> None:
    far = {"far": {"url": "http://127.0.0.1:9"}}
    async with hosted(tmp_path, models=far) as w:
        result = await w.mod.user.slash("host load", model="far")
        assert reply(result).content.startswith("**far** is another server's")


async def test_while_paused_wishes_are_taken_and_wait(tmp_path: Path) -> None:
    async with hosted(tmp_path) as w:
        assert whisper(await w.mod.user.slash("host pause")).startswith("I begin no story")
        asked = reply(await w.aki.slash(w.channel, "story", prompt="In the year"))
        assert footer(asked).startswith("Stories rest for now")
        w.services.bell.ring()
        shown = page(reply(await w.mod.user.slash("host status")))
        assert shown.startswith("**Paused**")
        assert "Waiting: 1 · being told: 0" in shown
        assert w.teller.asked == []
        await w.mod.user.slash("host resume")
        assert page(await w.told()).startswith("**In the year**")


async def test_who_waits_already_is_told_that_stories_rest_and_that_they_go_on(
    tmp_path: Path,
) -> None:
    async with hosted(tmp_path, queue={"tellers": 1}) as w:
        w.teller.hold()
        await w.ben.slash(w.channel, "story", prompt="First")
        await w.until(lambda: w.teller.asked)
        asked = reply(await w.aki.slash(w.channel, "story", prompt="In the year"))
        assert footer(asked) == "Next to be told"
        await w.mod.user.slash("host pause")
        await w.until(lambda: footer(asked).startswith("Stories rest for now"))
        await w.mod.user.slash("host resume")
        await w.until(lambda: footer(asked) == "Next to be told")
        await w.teller.release()
        assert page(await w.told(asked.id)).startswith("**In the year**")


async def test_what_is_said_to_everybody_is_confirmed_and_not_said_often(tmp_path: Path) -> None:
    async with hosted(tmp_path) as w:
        other = w.env.guild.create_text_channel("other")
        guild_id = w.env.guild.id
        shown = reply(await w.mod.user.slash("host announce", text="Back **soon**"))
        assert labels(shown.message) == []  # no server has chosen story channels
        places = (w.channel.id, other.id, 404)
        await w.services.guilds.change(guild_id, w.mod.id, story_channels=places)
        await w.services.guilds.change(1, w.mod.id, story_channels=(405,))  # of no server of ours
        shown = reply(await w.mod.user.slash("host announce", text="Back **soon**"))
        assert shown.content.startswith("This would be said in 3 story channels of 1 server; ")
        assert w.channel.history() == []
        await w.mod.user.click(shown, label="Say it")
        await w.env.advance_time(3)
        assert [channel.history()[-1].content for channel in (w.channel, other)] == [
            "Back **soon**"
        ] * 2
        assert shown.content == "It stands in 2 channels."
        again = reply(await w.mod.user.slash("host announce", text="Once more"))
        result = await w.mod.user.click(again, label="Say it")
        assert whisper(result).startswith("Something was said less than ten minutes ago.")
        assert len(other.history()) == 1
