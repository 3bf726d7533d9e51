"""What Ray Serve runs: one door, and replicas behind it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ray import serve

from generator.cluster.front import Front
from generator.cluster.replica import Replica

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


def application(share: Share) -> Application:
    """The door and its replicas, as `share` says."""
    engine = share.engine
    leaving = {
        "graceful_shutdown_timeout_s": share.drain,
        "graceful_shutdown_wait_loop_s": _LOOK_AGAIN,
    }
    scaling = {
        "min_replicas": share.replicas,
        "max_replicas": share.max_replicas,
        "initial_replicas": share.replicas,
        "target_ongoing_requests": engine.slots,
    }
    replicas = serve.deployment(
        Replica,
        name=REPLICAS,
        autoscaling_config=scaling,
        max_ongoing_requests=_AT_ONCE,
        ray_actor_options={"num_cpus": share.cores, "num_gpus": share.gpus},
        **leaving,
    )
    front = serve.deployment(
        Front,
        name="Front",
        max_ongoing_requests=_AT_ONCE,
        ray_actor_options={"num_cpus": 0},
        **leaving,
    )
    return front.bind(replicas.bind(engine), engine)
