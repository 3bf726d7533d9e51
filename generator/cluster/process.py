"""A cluster's life as one command: ready when it says so, gone when it is told."""

from __future__ import annotations

import asyncio
import logging
import os
import signal
import socket
import tempfile
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Any

import ray
from ray import serve
from ray.exceptions import RayError
from ray.serve.config import ProxyLocation
from ray.serve.exceptions import RayServeException
from ray.serve.schema import LoggingConfig

from generator.cluster.application import NAME, replicas
from generator.cluster.door import keep_open
from generator.cluster.front import Front
from generator.cluster.shares import NO_KEYS, shared
from generator.server.process import StartError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from ray.serve.handle import DeploymentHandle

    from generator.cluster.shares import ClusterSettings, Share
    from generator.config import EngineSettings

log = logging.getLogger(__name__)
_OBJECTS = 80 * 1024**2
"""Bytes of memory for what travels through Ray: pieces of text, and short ones."""


def run(engine: EngineSettings, cluster: ClusterSettings, *, address: str | None) -> None:
    """Serve from replicas until SIGTERM or SIGINT; a second one ends the wait for their stories.

    Prints one line when it is ready, as `python -m generator serve` does.

    Args:
        engine: what to serve and where.
        cluster: how many replicas.
        address: of a Ray cluster to join; None: one of this machine alone, for as long as it runs.

    Raises:
        StartError: it cannot be started.
    """
    if address is not None and not engine.bearer_keys():
        raise StartError(NO_KEYS)
    with _listening(engine) as listening:
        _hear()
        with suppress(KeyboardInterrupt), _connected(address):
            _hear()  # Ray has just taken SIGTERM for itself
            share = _share(engine, cluster, one_machine=address is None)
            handle, names = _deploy(share)
            host, port = listening.getsockname()[:2]
            where = f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"
            ready = f"Kataribe generator ready on {where} (models: {', '.join(names)})"
            asyncio.run(
                keep_open(
                    Front(handle, engine),
                    listening,
                    drain=share.drain,
                    ready=lambda: print(ready, flush=True),
                )
            )
            _hear()  # the event loop has just given the signals back


def _hear() -> None:
    """SIGTERM and SIGINT raise KeyboardInterrupt, however far the start has come."""
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, signal.default_int_handler)


@contextmanager
def _connected(address: str | None) -> Iterator[None]:
    """Ray, and what we run in it until the end; without its dashboard where it is our own."""
    # Not where other users of the machine could look for it, and gone with us.
    with tempfile.TemporaryDirectory(prefix="kataribe-", ignore_cleanup_errors=True) as scratch:
        options: dict[str, Any] = {"logging_level": logging.WARNING}
        if address is None:
            options |= {
                "include_dashboard": False,
                "num_cpus": _cores(),
                "object_store_memory": _OBJECTS,
                "_temp_dir": scratch,
            }
        try:
            ray.init(address, **options)
        except (ConnectionError, RuntimeError, ValueError) as error:
            reason = str(error).strip().partition("\n")[0]
            raise StartError(f"Ray cannot be started or reached: {reason}") from error
        try:
            yield
        finally:
            _leave(alone=address is None)


def _cores() -> int:
    """Those that this process may use; not every system tells."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def _leave(*, alone: bool) -> None:
    """The replicas end their stories and go, and with them Ray itself where it is ours `alone`."""
    try:
        with suppress(RayError, RayServeException):
            while NAME in serve.status().applications:
                with suppress(TimeoutError):  # of Serve's patience; its replicas' has a bound too
                    serve.delete(NAME)
            if alone:
                serve.shutdown()
    except KeyboardInterrupt:
        log.info("told to stop again: they are cut")
    finally:
        ray.shutdown()


def _share(engine: EngineSettings, cluster: ClusterSettings, *, one_machine: bool) -> Share:
    there = ray.cluster_resources()
    return shared(
        cluster,
        engine,
        cores=int(there.get("CPU", 1)),
        gpus=int(there.get("GPU", 0)),
        one_machine=one_machine,
    )


def _deploy(share: Share) -> tuple[DeploymentHandle, list[str]]:
    """Starts the replicas; gives who asks them, and the models that they have."""
    engine = share.engine
    quiet = LoggingConfig(log_level="WARNING", enable_access_log=False)
    logging.getLogger("ray.serve").setLevel(logging.WARNING)
    serve.start(proxy_location=ProxyLocation.Disabled, logging_config=quiet)
    log.info(
        "starting replicas: %d, at most %d, of %d cores and %g GPUs each",
        share.replicas,
        share.max_replicas,
        share.cores,
        share.gpus,
    )
    try:
        handle = serve.run(replicas(share), name=NAME, route_prefix=None, logging_config=quiet)
    except (RuntimeError, RayError) as error:
        reason = str(error).strip().rpartition("\n")[2]
        raise StartError(f"The replicas cannot be started: {reason}") from error
    names = sorted({name for names in handle.broadcast("models").results() for name in names})
    if not names:
        raise StartError(
            f"None of the models in {engine.models} can be loaded; see above. Put one there, or "
            "say where they are (--models, engine.models)."
        )
    return handle, names


def _listening(engine: EngineSettings) -> socket.socket:
    """Where the door will be.

    Raises:
        StartError: it cannot be had.
    """
    family = socket.AF_INET6 if ":" in engine.host else socket.AF_INET
    try:
        return socket.create_server((engine.host, engine.port), family=family)
    except OSError as error:
        raise StartError(
            f"Cannot listen on {engine.host} port {engine.port}: {error.strerror}. "
            "Choose another with --port, or --port 0 for any that is free."
        ) from error
