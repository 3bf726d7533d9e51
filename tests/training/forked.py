"""`torchrun` on one machine, or on two of a network of our own, as one program.

What takes six seconds to import is imported once for all, and the workers are forked.
"""

from __future__ import annotations

import ctypes
import os
import sys
from typing import TYPE_CHECKING

from torch.distributed.launcher.api import LaunchConfig, elastic_launch

import training.learning.train  # noqa: F401  # for all
from tests.network import network
from training.__main__ import main

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tests.network import Host

CLONE_NEWNET = 0x4000_0000
PORT = 29_400


def work(given: Sequence[str]) -> None:
    """Train as one of a team; which process this is stands in the log."""
    # As one piece: what is printed comes in several, and the other's may come between.
    os.write(sys.stderr.fileno(), f"\nworker {os.environ['RANK']} {os.getpid()}\n".encode())
    sys.exit(main([*given]))


def on_one_machine(given: Sequence[str]) -> None:
    """Two processes beside each other."""
    _launch(given, processes=2, endpoint="localhost:0")


def on_two_machines(given: Sequence[str]) -> None:
    """A process on each; ends when both have."""
    with network({"first": 21, "second": 22}) as hosts:
        meeting = f"{hosts['first'].address}:{PORT}"
        machines = [_on(host, meeting, given) for host in hosts.values()]
        statuses = [os.waitpid(machine, 0)[1] for machine in machines]
    sys.exit(any(statuses))


def _on(host: Host, meeting: str, given: Sequence[str]) -> int:
    """Become the launcher of a machine; gives the id of its process."""
    if child := os.fork():
        return child
    with open(host.namespace) as namespace:  # noqa: PTH123  # its number is what is wanted
        if ctypes.CDLL(None, use_errno=True).setns(namespace.fileno(), CLONE_NEWNET):
            raise OSError(ctypes.get_errno(), "no such machine")
    os.environ["GLOO_SOCKET_IFNAME"] = "eth0"
    _launch(given, machines=2, endpoint=meeting, address=host.address)
    sys.exit()


def _launch(
    given: Sequence[str],
    *,
    endpoint: str,
    machines: int = 1,
    processes: int = 1,
    address: str | None = None,
) -> None:
    config = LaunchConfig(
        min_nodes=machines,
        max_nodes=machines,
        nproc_per_node=processes,
        run_id="team",
        rdzv_backend="c10d",
        rdzv_endpoint=endpoint,
        # Else who lets all meet is found by its name, and these machines have no names.
        rdzv_configs={"is_host": endpoint.startswith(address)} if address else {},
        local_addr=address,
        max_restarts=0,
        start_method="fork",
    )
    elastic_launch(config, work)(given)


if __name__ == "__main__":
    (on_one_machine if sys.argv[1] == "one-machine" else on_two_machines)(sys.argv[2:])
