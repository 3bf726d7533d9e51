"""A cluster's life as one command: ready when it says so, gone when it is told."""

from __future__ import annotations

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
from ray.serve.config import HTTPOptions, ProxyLocation
from ray.serve.exceptions import RayServeException
from ray.serve.schema import LoggingConfig

from generator.cluster.application import NAME, REPLICAS, application
from generator.cluster.shares import shared
from generator.server.process import StartError

if TYPE_CHECKING:
    from collections.abc import Iterator

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
    engine = engine.model_copy(update={"port": _free_port(engine)})
    _hear()
    with suppress(KeyboardInterrupt), _connected(address):
        _hear()  # Ray has just taken SIGTERM for itself
        share = _share(engine, cluster, one_machine=address is None)
        print(_serve(share, one_machine=address is None), flush=True)
        signal.pause()


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
    log.info("stopping: running stories may end")
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


def _serve(share: Share, *, one_machine: bool) -> str:
    """Deploys; returns the line that says so."""
    engine = share.engine
    quiet = LoggingConfig(log_level="WARNING", enable_access_log=False)
    logging.getLogger("ray.serve").setLevel(logging.WARNING)
    serve.start(
        proxy_location=ProxyLocation.HeadOnly if one_machine else ProxyLocation.EveryNode,
        http_options=HTTPOptions(host=engine.host, port=engine.port),
        logging_config=quiet,
    )
    log.info(
        "starting replicas: %d, at most %d, of %d cores and %g GPUs each",
        share.replicas,
        share.max_replicas,
        share.cores,
        share.gpus,
    )
    try:
        serve.run(application(share), name=NAME, route_prefix="/", logging_config=quiet)
    except (RuntimeError, RayError) as error:
        reason = str(error).strip().rpartition("\n")[2]
        raise StartError(f"The replicas cannot be started: {reason}") from error
    replicas = serve.get_deployment_handle(REPLICAS, NAME)
    names = sorted({name for names in replicas.broadcast("models").results() for name in names})
    if not names:
        raise StartError(
            f"None of the models in {engine.models} can be loaded; see above. Put one there, or "
            "say where they are (--models, engine.models)."
        )
    host = f"[{engine.host}]" if ":" in engine.host else engine.host
    address = f"http://{host}:{engine.port}"
    return f"Kataribe generator ready on {address} (models: {', '.join(names)})"


def _free_port(engine: EngineSettings) -> int:
    """The port asked for, or one that nobody has.

    Raises:
        StartError: it cannot be had.
    """
    family = socket.AF_INET6 if ":" in engine.host else socket.AF_INET
    try:
        with socket.socket(family, socket.SOCK_STREAM) as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind((engine.host, engine.port))
            port: int = probe.getsockname()[1]
    except OSError as error:
        raise StartError(
            f"Cannot listen on {engine.host} port {engine.port}: {error.strerror}. "
            "Choose another with --port, or --port 0 for any that is free."
        ) from error
    return port
