"""`python -m bot`: opens everything, runs until told to stop, closes everything in order."""

from __future__ import annotations

import argparse
import asyncio
import logging
import signal
import sys
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

import aiohttp
import discord
from pydantic import SecretStr
from sqlalchemy.exc import SQLAlchemyError

from bot import bench, commands, components, hosting, simulate
from bot.client import Kataribe, point_at
from bot.config import Discord, Settings, SettingsError, Votes
from bot.database import DatabaseError, open_database
from bot.database.connection import sqlite_file
from bot.database.lock import owner_name, sole_user
from bot.database.server_lock import Member
from bot.forgetting import draw_forgotten
from bot.hosting.health import HealthError, health_page
from bot.hosting.log import open_log
from bot.invitation import greeting
from bot.messages.pacing import Pace
from bot.playground import Playground, PlaygroundError
from bot.readiness import make_ready
from bot.services import Services
from bot.upkeep import Upkeep
from bot.watching import EVERY as WATCHED_EVERY
from bot.worker.completions import Completions
from bot.worker.dispatcher import Dispatcher
from bot.worker.fleet import Fleet
from bot.worker.generator_process import (
    COMMAND,
    GeneratorProcess,
    GeneratorSettingsError,
    GeneratorStartError,
)

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Coroutine, Sequence

    from bot.worker.catalogue import Catalogue

_log = logging.getLogger("bot")

TIDY_EVERY = 3600.0
"""Seconds."""
CANCELLED_AGAIN = 0.5
"""Seconds."""
LEAVE_WITHIN = 1.0
"""Seconds that Discord has to answer our goodbye."""
SUCCESS, FAILURE, USAGE_ERROR = 0, 1, 2
_OF_ITS_OWN = {"bench": bench.main, "simulate": simulate.main}
"""Commands that need none of the host's settings."""

HELP = """\
Kataribe, a storyteller for Discord.

With DISCORD_TOKEN in the environment it connects to Discord; without, it opens a playground,
a page that behaves like a Discord channel, and prints its address. Unless [generator] url names
a completions server, it starts its own beside the bot.

Every setting is in config.toml with a comment, and can be given by environment as well:
[section] name is KATARIBE_SECTION__NAME, for example KATARIBE_STORIES__MODEL=lstm-starter.
"""


class StartError(Exception):
    """The bot cannot run; the message is one sentence for the host."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command; gives the exit status: 0 well, 1 it could not run, 2 wrong settings."""
    parser = argparse.ArgumentParser(
        prog="python -m bot",
        description=HELP,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument(
        "--config", metavar="FILE", type=Path, help="the settings (default: config.toml)"
    )
    verbs = parser.add_subparsers(dest="command", metavar="COMMAND", title="commands")
    verbs.add_parser("run", help="tell stories until stopped (the default)")
    hosting.add_hosting_commands(verbs)
    bench.add_bench_command(verbs)
    simulate.add_simulate_command(verbs)
    given = parser.parse_args(arguments)
    if given.command in _OF_ITS_OWN:
        return _OF_ITS_OWN[given.command](given)
    try:
        settings = Settings.load(given.config or "config.toml", required=given.config is not None)
    except SettingsError as error:
        print(error, file=sys.stderr)
        return USAGE_ERROR
    open_log(settings.log)
    if given.command in hosting.COMMANDS:
        return hosting.main(given, settings)
    try:
        asyncio.run(run(settings, config=given.config))
    except GeneratorSettingsError as error:
        print(error, file=sys.stderr)
        return USAGE_ERROR
    except (StartError, DatabaseError, PlaygroundError, GeneratorStartError, HealthError) as error:
        print(error, file=sys.stderr)
        return FAILURE
    return SUCCESS


async def run(settings: Settings, *, config: Path | None = None) -> None:
    """Run until SIGTERM, SIGINT or an error; a second signal ends the process at once.

    Args:
        settings: The bot's.
        config: The file that our own generator reads its settings from, if not config.toml.

    Raises:
        StartError: It cannot run; so do DatabaseError, PlaygroundError and GeneratorStartError.
    """
    stop = _stop_signal()
    make_ready()
    # Closed in reverse: tellings are given back first, the database is let go of last.
    async with AsyncExitStack() as opened:
        owner = owner_name()
        member = _member(settings, owner)
        held = await opened.enter_async_context(AsyncExitStack())
        still_ours = await held.enter_async_context(sole_user(settings.database.url, member))
        database = await opened.enter_async_context(
            open_database(settings.database.url, settings.database.pooler)
        )
        page = None
        if settings.token is None:
            playground = await opened.enter_async_context(_playground(settings))
            settings, page = _pointed_at(settings, playground), playground.url
        point_at(settings.discord.api_url, settings.discord.gateway_url)
        completions = await opened.enter_async_context(
            Completions(
                settings.generator.url or None,
                settings.stories,
                request_timeout=settings.generator.request_timeout,
                api_key=settings.generator.api_key,
                remote=settings.models,
                moods=settings.moods,
            )
        )
        pace = Pace()
        client = Kataribe(settings.discord, pace)
        services = Services.of(settings, database, completions, client, pace)
        bell, given_back = services.bell, services.messages.withdraw
        fleet = Fleet(database, member, bell, given_back) if member is not None else None
        if fleet is None:
            await services.queue.release_all()
        else:
            await fleet.begin(services.queue)
        client.services = services
        for command in commands.EVERY:
            client.tree.add_command(command)
        client.add_dynamic_items(*components.EVERY)
        dispatcher = Dispatcher(
            services.queue,
            services.stories,
            completions,
            services.catalogue,
            services.messages,
            services.bell,
            settings,
            services.screening,
            services.metrics,
            owner,
        )
        # Before there is work to do: where its port is taken, none was begun.
        health = await opened.enter_async_context(health_page(settings.health, client))
        logged_in = asyncio.Event()
        work = [still_ours()]
        if not settings.generator.url:
            work.append(_generate(settings, config, completions, services.catalogue, dispatcher))
        if fleet is not None:
            work.append(fleet.run())
        work.append(_tidy(services))
        work.append(_tell(client, dispatcher, logged_in, page))
        work.append(_keep_up(client, Upkeep(services, client), logged_in))
        work.append(_close_duels(client, logged_in))
        work.append(_watch(client, logged_in))
        if health is not None:
            work.append(health.watch())
        work.append(_connect(client, settings, logged_in))  # it ends first
        if member is not None:
            # Nothing is written any more; who waits for our shards need not wait for the rest.
            opened.push_async_callback(held.aclose)
        opened.push_async_callback(_leave, client)
        opened.push_async_callback(services.messages.close)
        running = [await opened.enter_async_context(_task(part)) for part in [stop.wait(), *work]]
        ended, _ = await asyncio.wait(running, return_when=asyncio.FIRST_COMPLETED)
        for task in ended:
            task.result()


def _stop_signal() -> asyncio.Event:
    """Catch the first SIGTERM or SIGINT; the second has its usual, immediate effect."""
    loop = asyncio.get_running_loop()
    stop = asyncio.Event()
    numbers = (signal.SIGTERM, signal.SIGINT)

    def asked() -> None:
        _log.info("Stopping; what was not told to its end is told again at the next start")
        stop.set()
        for number in numbers:
            loop.remove_signal_handler(number)
            signal.signal(number, signal.SIG_DFL)

    for number in numbers:
        loop.add_signal_handler(number, asked)
    return stop


@asynccontextmanager
async def _task(work: Coroutine[Any, Any, object]) -> AsyncIterator[asyncio.Task[object]]:
    """Run beside the rest; on leaving it is cancelled and has ended."""
    task = asyncio.create_task(work)
    try:
        yield task
    finally:
        task.cancel()
        await asyncio.wait([task])


def _member(settings: Settings, owner: str) -> Member | None:
    """Which of its bot's processes this is; None: its only one."""
    shards, url = settings.discord.shards, settings.database.url
    if shards is None or settings.token is None or url.startswith("sqlite"):
        return None
    # The same in every token that the bot ever had.
    bot, _, _ = settings.token.get_secret_value().partition(".")
    return Member(owner, shards, bot)


def _playground(settings: Settings) -> Playground:
    """A stand-in for Discord; what was said in it is kept beside the database."""
    file = sqlite_file(settings.database.url) or Path("kataribe.db")
    state = file.with_name(f"{file.name}-playground")
    return Playground(settings.playground.host, settings.playground.port, state=state)


def _pointed_at(settings: Settings, playground: Playground) -> Settings:
    discord_settings = Discord(api_url=playground.api_url, gateway_url=playground.gateway_url)
    return settings.model_copy(
        update={
            "token": SecretStr(playground.token),
            "discord": discord_settings,
            "votes": Votes(account_age=0),  # everybody there has just come
        }
    )


async def _generate(
    settings: Settings,
    config: Path | None,
    completions: Completions,
    catalogue: Catalogue,
    dispatcher: Dispatcher,
) -> None:
    """Keep our own generator running, and say where it is."""

    def moved(url: str | None) -> None:
        completions.url = url
        if url is not None:
            dispatcher.resume()
            catalogue.refresh()

    generator = GeneratorProcess(
        moved,
        start_timeout=settings.generator.start_timeout,
        command=[*COMMAND, *(["--config", str(config)] if config else [])],
    )
    await generator.run()


async def _tidy(services: Services) -> None:
    """Forget what is over, now and then."""
    while True:
        try:
            await services.tidy()
        except (SQLAlchemyError, OSError) as error:
            _log.warning("What is over is forgotten later: %s", error)
        await asyncio.sleep(TIDY_EVERY)


async def _connect(client: Kataribe, settings: Settings, logged_in: asyncio.Event) -> None:
    """Stay connected to Discord; discord.py connects again by itself when the line breaks."""
    assert settings.token is not None  # noqa: S101  # the playground's, if none was given
    api_url = settings.discord.api_url
    try:
        await client.login(settings.token.get_secret_value())
        logged_in.set()
        try:
            await _until_cancelled(client.connect())
        finally:
            await _hear_no_more(client)
    except discord.LoginFailure as error:
        raise StartError(
            f"{api_url} refuses the token in DISCORD_TOKEN: {error} "
            "Copy it again from the Bot page of your application, "
            "https://discord.com/developers/applications"
        ) from error
    except discord.GatewayNotFound as error:
        raise StartError(f"{api_url} names no gateway: {error}") from error
    except discord.ConnectionClosed as error:
        raise StartError(f"Discord closed the connection for good: {error}") from error
    except (discord.HTTPException, aiohttp.ClientError, OSError) as error:
        raise StartError(f"Discord cannot be reached at {api_url}: {error}") from error


async def _until_cancelled(work: Coroutine[Any, Any, None]) -> None:
    """Do what may swallow that it is cancelled: it is cancelled again until it has ended.

    discord.py connects by `asyncio.wait_for`, which before Python 3.12 forgets a cancellation that
    comes in the moment in which the connection stands; and then it listens for ever.
    """
    task = asyncio.create_task(work)
    try:
        await asyncio.wait([task])
    finally:
        while not task.done():
            task.cancel()
            await asyncio.wait([task], timeout=CANCELLED_AGAIN)
    task.result()


async def _tell(
    client: Kataribe, dispatcher: Dispatcher, logged_in: asyncio.Event, page: str | None
) -> None:
    """Tell stories as soon as there is a Discord to show them in."""
    await logged_in.wait()
    await client.wait_until_ready()
    if client.services.settings.generator.url:
        # The host hears at once if nobody has the default model.
        client.services.catalogue.refresh()
    if page is not None:
        print(f"Kataribe's playground is open: {page} (try /story In the year)", flush=True)
    else:
        print(await greeting(client), flush=True)
    await dispatcher.run()


async def _keep_up(client: Kataribe, upkeep: Upkeep, logged_in: asyncio.Event) -> None:
    """Do what comes due by itself, as soon as it is known which servers there are."""
    await logged_in.wait()
    await client.wait_until_ready()
    try:
        await draw_forgotten(client.services)
    except (SQLAlchemyError, OSError) as error:
        _log.warning("What was deleted lately is not looked through: %s", error)
    await upkeep.run()


async def _close_duels(client: Kataribe, logged_in: asyncio.Event) -> None:
    """Close duels when their time has come."""
    await logged_in.wait()
    await client.services.closing.run()


async def _watch(client: Kataribe, logged_in: asyncio.Event) -> None:
    """Look once a minute how everything is, for whoever asks how it went."""
    await logged_in.wait()
    await client.wait_until_ready()
    while True:
        try:
            await client.services.watching.look(client.latency)
        except (SQLAlchemyError, OSError) as error:
            _log.warning("How the queue is cannot be seen now: %s", error)
        await asyncio.sleep(WATCHED_EVERY)


async def _hear_no_more(client: Kataribe) -> None:
    """Close the gateway, or it would go on hearing while others wait for it to stop."""
    with suppress(TimeoutError):
        async with asyncio.timeout(LEAVE_WITHIN):
            await asyncio.gather(*(shard.disconnect() for shard in client.shards.values()))


async def _leave(client: Kataribe) -> None:
    """Say goodbye to Discord, but do not wait long for an answer."""
    with suppress(TimeoutError):
        async with asyncio.timeout(LEAVE_WITHIN):
            await client.close()


if __name__ == "__main__":
    sys.exit(main())
