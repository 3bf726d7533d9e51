"""What Ray Serve runs: replicas, and a door before them where Serve's proxies are asked."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import ray
from ray import serve

from generator.cluster.ingress import Ingress
from generator.cluster.replica import Replica
from generator.cluster.shares import NO_KEYS, ClusterSettings, shared
from generator.config import ConfigError, load_settings

if TYPE_CHECKING:
    from ray.serve import Application

    from generator.cluster.shares import Share

NAME = "kataribe"
"""Of Serve's application."""
REPLICAS = "Replica"
"""Of the deployment that tells."""
_AT_ONCE = 100_000
"""Requests that the door passes on, and that a replica takes, at a time. What bounds them is each
engine, by its slots and its line; a bound of Serve's would let `/health` wait behind stories."""
_LOOK_AGAIN = 0.2
"""Seconds after which a replica that is to leave looks whether its last story has ended."""


def build(given: dict[str, Any]) -> Application:
    """For Serve's own configuration files, which name this function: see deploy/rayservice.yaml.

    Args:
        given: `engine` and `cluster`, each with settings; what is left out is read in the
            environment, as KATARIBE_ENGINE__NAME, or has its default.

    Raises:
        ConfigError: with one line for each setting that is wrong, or without keys: where Serve
            listens is said elsewhere, and its replicas listen to each other's machines.
    """
    engine = load_settings(given.get("engine", {}))
    if not engine.bearer_keys():
        raise ConfigError(NO_KEYS)
    cluster = ClusterSettings.checked(given.get("cluster", {}))
    there = ray.cluster_resources()
    cores, gpus = int(there.get("CPU", 1)), int(there.get("GPU", 0))
    share = shared(cluster, engine, cores=cores, gpus=gpus, one_machine=False)
    door = serve.deployment(
        Ingress,
        name="Front",
        max_ongoing_requests=_AT_ONCE,
        ray_actor_options={"num_cpus": 0},
        **_leaving(share),
    )
    return door.bind(replicas(share), engine)


def replicas(share: Share) -> Application:
    """As many as `share` says."""
    engine = share.engine
    scaling = {
        "min_replicas": share.replicas,
        "max_replicas": share.max_replicas,
        "initial_replicas": share.replicas,
        "target_ongoing_requests": engine.slots,
    }
    deployment = serve.deployment(
        Replica,
        name=REPLICAS,
        autoscaling_config=scaling,
        max_ongoing_requests=_AT_ONCE,
        ray_actor_options={"num_cpus": share.cores, "num_gpus": share.gpus},
        **_leaving(share),
    )
    return deployment.bind(engine)


def _leaving(share: Share) -> dict[str, Any]:
    return {
        "graceful_shutdown_timeout_s": share.drain,
        "graceful_shutdown_wait_loop_s": _LOOK_AGAIN,
    }
