"""Machines on one switch, each with a network of its own: Linux's namespaces.

Who builds them runs in a namespace already (`OWN`), so that nothing of the real machine's network
is touched; all of it is gone with the processes.
"""

from __future__ import annotations

import os
import subprocess
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

OWN = ["unshare", "--net"]
"""Before a command that shall have a network of its own."""
if os.geteuid() != 0:
    OWN[1:1] = ["--user", "--map-current-user", "--keep-caps"]
SWITCH = "10.77.0.1"
"""The address of who builds the network."""
_BRIDGE = "ip link add name switch type bridge"
_PLUGGED = (
    f"ip link set lo up; {_BRIDGE}; ip addr add {SWITCH}/24 dev switch; ip link set switch up"
)
_CARD = "02:00:0a:4d:00"
"""How the addresses of network cards begin."""


def refusal() -> str:
    """Why this system lets nobody build a network, as a sentence; empty: it does."""
    try:
        tried = subprocess.run(
            [*OWN, *_BRIDGE.split()], check=False, capture_output=True, text=True
        )
    except FileNotFoundError as missing:
        return f"Networks of our own need {missing.filename}."
    return f"No network of our own: {tried.stderr.strip()}" if tried.returncode else ""


@dataclass(slots=True)
class Host:
    """A machine."""

    address: str
    namespace: str
    """The file that stands for its network."""
    _cable: str
    _cuts: int = 0

    @property
    def enter(self) -> tuple[str, ...]:
        """Before a command that shall run there."""
        return ("nsenter", f"--net={self.namespace}")

    @contextmanager
    def cut_off(self) -> Iterator[None]:
        """Pull its cable out meanwhile: what is sent is lost, and nobody is told."""
        self._cuts += 1
        self._plug()
        try:
            yield
        finally:
            self._cuts -= 1
            self._plug()

    def _plug(self) -> None:
        _run("ip", "link", "set", self._cable, "down" if self._cuts else "up")


@contextmanager
def network(hosts: Mapping[str, int]) -> Iterator[dict[str, Host]]:
    """Build one: by each host's name the number that ends its address.

    Two of the same number stand in for each other, and only one may be plugged in at a time.
    """
    _run("sh", "-ec", _PLUGGED)
    holders: list[subprocess.Popen[bytes]] = []
    built: dict[str, Host] = {}
    try:
        for name, number in hosts.items():
            # Its namespace lives as long as this process, which ends when ours does.
            holder = subprocess.Popen(
                ["unshare", "--net", "sh", "-c", "echo there; exec cat"],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
            )
            holders.append(holder)
            assert holder.stdout is not None
            holder.stdout.readline()
            built[name] = _connected(f"cable{len(built)}", number, holder.pid)
        yield built
    finally:
        for holder in holders:
            holder.communicate()


def _connected(cable: str, number: int, pid: int) -> Host:
    address, card = f"10.77.0.{number}", f"{_CARD}:{number:02x}"
    host = Host(address, f"/proc/{pid}/ns/net", cable)
    _run(*f"ip link add name {cable} type veth peer name eth0 netns {pid}".split())
    _run(
        *host.enter,
        "sh",
        "-ec",
        f"ip link set eth0 address {card}; ip addr add {address}/24 dev eth0",
    )
    _run(*host.enter, "sh", "-ec", "ip link set eth0 up; ip link set lo up")
    _run("ip", "link", "set", cable, "master", "switch", "up")
    return host


def _run(*command: str) -> None:
    subprocess.run(command, check=True)
