"""Discord's limit, read from its own answers."""

from __future__ import annotations

import aiohttp
from aiohttp import web
from aiohttp.test_utils import TestServer

from bot.messages.pacing import Pace
from tests.bot.clock import Clock

EDIT = "/api/v10/channels/5/messages/7"


async def edited(
    headers: dict[str, str], *, path: str = EDIT, method: str = "PATCH", status: int = 200
) -> Pace:
    """What is known of channel 5 at second 100, after one request that was answered so."""

    async def answer(request: web.Request) -> web.Response:
        return web.json_response({"path": request.path}, status=status, headers=headers)

    app = web.Application()
    app.router.add_route("*", "/{path:.*}", answer)
    clock = Clock()
    clock.now = 100.0
    pace = Pace(clock=clock)
    pace.budget(5).spend(100.0)
    async with (
        TestServer(app, host="127.0.0.1") as server,
        aiohttp.ClientSession(trace_configs=[pace.trace]) as session,
        session.request(method, server.make_url(path)),
    ):
        return pace


LIMIT = {
    "X-RateLimit-Limit": "10",
    "X-RateLimit-Remaining": "1",
    "X-RateLimit-Reset-After": "2.5",
}


async def test_what_discord_says_with_an_edit_is_believed() -> None:
    budget = (await edited(LIMIT)).budget(5)
    assert (budget.limit, budget.left, budget.resets_at) == (10, 1, 102.5)
    assert budget.wait(101.0) == 1.5


async def test_what_it_says_of_other_requests_is_another_limit() -> None:
    for path, method in ((EDIT, "DELETE"), ("/api/v10/channels/5/messages", "POST")):
        assert (await edited(LIMIT, path=path, method=method)).budget(5).left == 4
    pace = await edited(LIMIT, path="/api/v10/channels/6/messages/7")
    assert (pace.budget(5).left, pace.budget(6).left) == (4, 0)


async def test_a_message_that_was_edited_too_often_does_not_speak_for_its_channel() -> None:
    assert (await edited(LIMIT, status=429)).budget(5).left == 4


async def test_without_its_headers_its_habit_is_assumed() -> None:
    for headers in ({}, {**LIMIT, "X-RateLimit-Remaining": "many"}):
        assert (await edited(headers)).budget(5).left == 4
