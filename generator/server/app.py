"""The generator's HTTP side: routes, keys, errors, and the end of stories when it closes."""

from __future__ import annotations

import asyncio
import logging
from http import HTTPStatus
from pathlib import Path
from typing import TYPE_CHECKING

from aiohttp import ClientPayloadError, web

from generator.engine.errors import EngineError
from generator.engine.registry import Registry
from generator.server.completions import Completions
from generator.server.door import let_in, only_json
from generator.server.errors import ApiError, refusal, wrong
from generator.server.languages import languages_of
from generator.server.log import refer
from generator.server.metrics import CONTENT_TYPE, Metrics
from generator.server.protocol import Health, ModelCard, ModelList, Occupancy

if TYPE_CHECKING:
    from aiohttp.typedefs import Handler
    from pydantic import BaseModel

    from generator.config import EngineSettings

log = logging.getLogger(__name__)
JSON = "application/json"
_DESCRIPTION = Path(__file__).with_name("openapi.json").read_bytes()


class Server:
    """One generator: its models, and the application that answers for them."""

    def __init__(self, settings: EngineSettings) -> None:
        self.registry = Registry(settings)
        self._settings = settings
        self._metrics = Metrics(self.registry)
        self._ready = False
        completions = Completions(
            self.registry,
            self._metrics,
            prompt_limit=settings.prompt_limit,
            at_once=settings.slots + settings.waiting,
        )
        self._app = web.Application(
            middlewares=[refer, self._speak_openai, let_in(settings.bearer_keys())],
            client_max_size=settings.body_limit,
        )
        self._app.add_routes(
            [
                web.post("/v1/completions", completions.answer),
                web.get("/v1/models", self._list_models),
                web.get("/v1/models/{name}", self._show_model),
                web.post("/v1/models/{name}/load", self._load_model),
                web.post("/v1/models/{name}/unload", self._unload_model),
                web.get("/health", self._health),
                web.get("/metrics", self._show_metrics),
                web.get("/openapi.json", self._describe),
            ]
        )
        self._app.on_shutdown.append(self._let_stories_end)
        self._runner = web.AppRunner(
            self._app,
            handler_cancellation=True,  # a closed connection frees its slots
            access_log=None,
            shutdown_timeout=5,  # for handlers to say that their stories were cut
        )
        self._grace_over = asyncio.Event()

    async def open(self) -> str:
        """Listen, load the models; returns the address.

        Raises:
            OSError: the address cannot be had.
        """
        await self._runner.setup()
        site = web.TCPSite(self._runner, self._settings.host, self._settings.port)
        await site.start()
        await self.registry.load_all()
        self._ready = True
        host, port = self._runner.addresses[0][:2]
        return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"

    async def close(self) -> None:
        """Let nobody in, give running stories the grace period, then cut them with an error."""
        await self._runner.cleanup()

    def end_grace(self) -> None:
        """End the grace period now."""
        self._grace_over.set()

    async def _let_stories_end(self, _: web.Application) -> None:
        self._ready = False
        idle = asyncio.create_task(self.registry.idle())
        grace_over = asyncio.create_task(self._grace_over.wait())
        await asyncio.wait(
            [idle, grace_over], timeout=self._settings.grace, return_when=asyncio.FIRST_COMPLETED
        )
        idle.cancel()
        grace_over.cancel()
        await self.registry.close()

    # What is asked, in the order of the routes; completions have a room of their own.

    async def _list_models(self, _: web.Request) -> web.Response:
        cards = [self._card(*one) for one in self.registry.folders().items()]
        return _json(ModelList(data=cards))

    async def _show_model(self, request: web.Request) -> web.Response:
        name = request.match_info["name"]
        return _json(self._card(name, self.registry.folder(name)))

    async def _load_model(self, request: web.Request) -> web.Response:
        only_json(request)
        await self.registry.load(request.match_info["name"])
        return await self._show_model(request)

    async def _unload_model(self, request: web.Request) -> web.Response:
        only_json(request)
        await self.registry.unload(request.match_info["name"])
        return await self._show_model(request)

    async def _health(self, _: web.Request) -> web.Response:
        """Whether it is ready, and how full; needs no key."""
        models = {
            resident.name: Occupancy(
                slots=self._settings.slots,
                slots_in_use=resident.engine.slots_in_use,
                waiting=resident.engine.waiting,
            )
            for resident in self.registry.residents
        }
        health = Health(status="ok" if self._ready else "not ready", models=models)
        status = HTTPStatus.OK if self._ready else HTTPStatus.SERVICE_UNAVAILABLE
        return _json(health, status)

    async def _show_metrics(self, _: web.Request) -> web.Response:
        return web.Response(body=self._metrics.page(), headers={"Content-Type": CONTENT_TYPE})

    async def _describe(self, _: web.Request) -> web.Response:
        return web.Response(body=_DESCRIPTION, content_type=JSON)

    def _card(self, name: str, folder: Path) -> ModelCard:
        resident = self.registry.resident(name)
        return ModelCard(
            id=name,
            created=int(folder.stat().st_mtime),
            languages=languages_of(folder),
            loaded=resident is not None,
            max_model_len=resident.loaded.context if resident else None,
        )

    # Around every request.

    @web.middleware
    async def _speak_openai(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        """Every error as OpenAI's error object."""
        try:
            return await handler(request)
        except ApiError as raised:
            error = raised
        except EngineError as raised:
            error = refusal(raised)
        except web.HTTPRequestEntityTooLarge:
            message = f"The body takes at most {self._settings.body_limit} bytes."
            error = ApiError(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, message)
        except web.HTTPException as raised:
            message = f"{request.method} {request.path[:64]}: {raised.reason}."
            error = ApiError(HTTPStatus(raised.status), message)
        except (ClientPayloadError, web.RequestPayloadError):
            error = wrong("The body cannot be read: its encoding or length is wrong.")
        except Exception:
            log.exception("%s %s failed", request.method, request.path)
            message = "The generator made a mistake; its log has more."
            error = ApiError(HTTPStatus.INTERNAL_SERVER_ERROR, message)
        headers = {"Retry-After": str(error.retry_after)} if error.retry_after else {}
        return web.Response(
            status=error.status, body=error.body(), headers=headers, content_type=JSON
        )


def _json(body: BaseModel, status: HTTPStatus = HTTPStatus.OK) -> web.Response:
    return web.Response(body=body.model_dump_json().encode(), content_type=JSON, status=status)
