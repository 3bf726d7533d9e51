"""`python -m generator cluster`: many replicas behind one address, by Ray Serve."""

from __future__ import annotations

import argparse
import logging
import os
import secrets
import sys

from generator.cluster.shares import ClusterSettings
from generator.config import ConfigError, load_settings

_DESCRIPTION = """\
Serves the models from many replicas of the generator behind one address, by Ray Serve, until
SIGTERM or Ctrl-C. Who asks gets the same answers as of `python -m generator serve`: a story goes
to a replica that has its model and a short line. One that dies breaks its stories off, and the bot
has them told anew, to the same words; one that has to leave ends its stories first."""
_EXAMPLES = """\
examples:
  python -m generator cluster                   as many replicas as this machine's cores or GPUs
  python -m generator cluster --replicas 2      two, which share the cores
  python -m generator cluster --replicas 2 --max-replicas 8
                                                up to eight while their lines are long
  python -m generator cluster --address auto    in the Ray cluster that this machine is part of

The options of `serve` are taken too, and are each replica's own (--port and --host are the door's).
It needs Ray: pip install -c constraints.txt '.[generator,cluster]'
On Kubernetes: deploy/rayservice.yaml.
"""


def add_cluster_command(
    commands: argparse._SubParsersAction[argparse.ArgumentParser],
) -> argparse.ArgumentParser:
    """Adds the command and its options, but for those of `serve`, and returns it."""
    command = commands.add_parser(
        "cluster",
        help="the same from many replicas, by Ray Serve",
        description=_DESCRIPTION,
        epilog=_EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    command.set_defaults(run=_run)
    command.add_argument(
        "--address", help="a Ray cluster to join: auto, or HOST:PORT (default: one of our own)"
    )
    for name, field in ClusterSettings.model_fields.items():
        command.add_argument(
            f"--{name.replace('_', '-')}",
            dest=f"cluster.{name}",
            metavar=name.rpartition("_")[2].upper(),
            help=f"{field.title}: {field.description} (default: {field.default})",
        )
    return command


def _run(options: argparse.Namespace) -> int:
    given: dict[str, dict[str, object]] = {"cluster": {}, "engine": {}}
    for name, value in vars(options).items():
        section, _, setting = name.partition(".")
        if setting and value is not None:
            given[section][setting] = value
    try:
        engine = load_settings(given["engine"], file=options.config)
        cluster = ClusterSettings.checked(given["cluster"])
    except ConfigError as error:
        print(error, file=sys.stderr)
        return 2
    os.environ["RAY_DEDUP_LOGS"] = "0"  # lines about two stories differ by a number only
    if options.address is None:
        os.environ |= _alone()
    logging.basicConfig(format="%(asctime)s %(levelname)s %(message)s", level=logging.INFO)
    try:
        from generator.cluster.process import run  # noqa: PLC0415  # Ray takes seconds to come
        from generator.server.process import StartError  # noqa: PLC0415  # the same
    except ModuleNotFoundError as error:
        print(
            f"A cluster needs {error.name}, which is not installed: "
            "pip install -c constraints.txt '.[generator,cluster]'",
            file=sys.stderr,
        )
        return 2
    try:
        run(engine, cluster, address=options.address)
    except StartError as error:
        print(error, file=sys.stderr)
        return 1
    return 0


def _alone() -> dict[str, str]:
    """What Ray reads in the environment when it is imported, where it is this machine's alone."""
    return {
        "RAY_USAGE_STATS_ENABLED": "0",  # it reports to nobody,
        "RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER": "0",  # listens to this machine only, on Linux too,
        "RAY_AUTH_MODE": "token",  # and there to us only
        "RAY_AUTH_TOKEN": secrets.token_hex(32),
        # Seconds that the door believes what it knows of a line: 10 unless said, a story's time.
        "RAY_SERVE_QUEUE_LENGTH_CACHE_TIMEOUT_S": "0.1",
    }
