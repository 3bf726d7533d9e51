"""`python -m generator`: the worker that tells stories, as a completions server."""

from __future__ import annotations

import argparse
import asyncio
import logging
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from generator.bench import add_bench_command
from generator.cluster import add_cluster_command
from generator.config import ConfigError, EngineSettings, load_settings
from generator.fetching import add_fetch_command

if TYPE_CHECKING:
    from collections.abc import Sequence

_DESCRIPTION = """\
Tells stories with GPT-2 or an LSTM, as a server that speaks OpenAI's completions API.
Without a command it serves."""
_EXAMPLES = """\
examples:
  python -m generator                          serve the models in models/ on port 8000
  python -m generator serve --port 0           on any free port; the ready line names it
  python -m generator serve --models ~/gpt2    one model folder, or a folder of them
  python -m generator bench                    how many tokens a second this machine tells
  python -m generator cluster                  the same from many replicas, by Ray Serve
  python -m generator fetch Qwen/Qwen2.5-0.5B  another model, of Hugging Face's hub

then, with any OpenAI client or plain curl:
  curl http://127.0.0.1:8000/v1/completions -H 'Content-Type: application/json' \\
    -d '{"model": "gpt2-starter", "prompt": "In the year", "max_tokens": 100, "stream": true}'

Every option is also a setting: [engine] in config.toml, or KATARIBE_ENGINE__NAME.
"""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command; returns the exit status, 2 for a wrong setting."""
    words = list(sys.argv[1:] if arguments is None else arguments)
    if not words or (words[0].startswith("-") and words[0] not in {"-h", "--help"}):
        words.insert(0, "serve")
    options = _parser().parse_args(words)
    run = options.run
    status: int = run(options)
    return status


def _parser() -> argparse.ArgumentParser:
    raw = argparse.RawDescriptionHelpFormatter
    parser = argparse.ArgumentParser(
        prog="python -m generator",
        description=_DESCRIPTION,
        epilog=_EXAMPLES,
        formatter_class=raw,
        allow_abbrev=False,
    )
    commands = parser.add_subparsers(title="commands", metavar="COMMAND")
    serve = commands.add_parser(
        "serve",
        help="answer completion requests (the default)",
        description="Serves the models until SIGTERM or Ctrl-C.",
        epilog=_EXAMPLES,
        formatter_class=raw,
        allow_abbrev=False,
    )
    serve.set_defaults(run=_serve)
    serve.add_argument(
        "--with-parent",
        action="store_true",
        help="end when standard input ends, as it does when the parent process dies",
    )
    _add_settings(serve)
    _add_settings(add_cluster_command(commands))
    add_bench_command(commands)
    add_fetch_command(commands)
    return parser


def _add_settings(command: argparse.ArgumentParser) -> None:
    """`[engine]`, setting by setting."""
    command.add_argument(
        "--config", type=Path, default=Path("config.toml"), help="settings (default: config.toml)"
    )
    for name, field in EngineSettings.model_fields.items():
        if name != "api_keys":  # a secret does not belong where every user of the machine sees it
            command.add_argument(
                f"--{name.replace('_', '-')}",
                dest=f"engine.{name}",
                metavar=name.rpartition("_")[2].upper(),
                help=f"{field.title}: {field.description} (default: {field.default})",
            )


def _serve(options: argparse.Namespace) -> int:
    given = {
        name.removeprefix("engine."): value
        for name, value in vars(options).items()
        if name.startswith("engine.") and value is not None
    }
    try:
        settings = load_settings(given, file=options.config)
    except ConfigError as error:
        print(error, file=sys.stderr)
        return 2
    try:
        from generator.server.log import open_log  # noqa: PLC0415  # aiohttp may not be installed

        open_log()
        from generator.server.process import StartError, serve  # noqa: PLC0415  # torch takes seconds
    except KeyboardInterrupt:  # from here on, `serve` hears it
        return 130
    except ModuleNotFoundError as error:
        print(
            f"The generator needs {error.name}, which is not installed: "
            "pip install -c constraints.txt '.[generator]', or name another server "
            "in [generator] url.",
            file=sys.stderr,
        )
        return 2
    try:
        asyncio.run(serve(settings, with_parent=options.with_parent))
    except StartError as error:
        print(error, file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    exit_status = main()
    # All is closed. Python would now take torch's modules apart, which takes it two seconds more,
    # while a host waits for the bot to stop.
    logging.shutdown()
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(exit_status)
