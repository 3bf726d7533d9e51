"""`python -m generator fetch NAME`: brings a model of a hub into the folder of models."""

from __future__ import annotations

import argparse
import logging
import sys
from pathlib import Path

from generator.config import ConfigError, load_settings

_DESCRIPTION = """\
Brings a model from Hugging Face's hub, or another that HF_ENDPOINT names, into the folder of
models: settings, tokenizer and weights in safetensors, or one GGUF file; nothing that could hold
code. Says how large it is first, goes on where it was stopped, and at the end tells from it to see
how fast. HF_TOKEN is the token for models that one must ask for."""
_EXAMPLES = """\
examples:
  python -m generator fetch HuggingFaceTB/SmolLM2-135M
  python -m generator fetch Qwen/Qwen2.5-0.5B --revision main
  python -m generator fetch OWNER/MODEL-GGUF --file MODEL-Q6_K.gguf
"""


def add_fetch_command(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Adds the command and its options; `run` of what is parsed returns the exit status."""
    fetch = commands.add_parser(
        "fetch",
        help="bring a model of Hugging Face's hub into models/",
        description=_DESCRIPTION,
        epilog=_EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    fetch.set_defaults(run=_run)
    fetch.add_argument("name", metavar="NAME", help="as the hub has it: OWNER/MODEL")
    fetch.add_argument("--revision", help="a branch, tag or commit (default: the hub's main one)")
    fetch.add_argument("--file", help="of several GGUF files, the one to take (8 bits)")
    fetch.add_argument(
        "--models", type=Path, metavar="FOLDER", help="where to put it (default: engine.models)"
    )
    fetch.add_argument("--force", action="store_true", help="replace the folder of this name")
    fetch.add_argument(
        "--config", type=Path, default=Path("config.toml"), help="settings (default: config.toml)"
    )


def _run(options: argparse.Namespace) -> int:
    given = {} if options.models is None else {"models": options.models}
    try:
        settings = load_settings(given, file=options.config)
    except ConfigError as error:
        print(error, file=sys.stderr)
        return 2
    logging.basicConfig(format="%(levelname)s %(message)s", level=logging.WARNING)
    try:
        from generator.fetching.errors import FetchError  # noqa: PLC0415
        from generator.fetching.hub import Hub  # noqa: PLC0415  # its client takes a second
        from generator.fetching.trial import try_out  # noqa: PLC0415
        from generator.fetching.whole import fetch  # noqa: PLC0415
    except ModuleNotFoundError as error:
        print(
            f"Fetching needs {error.name}, which is not installed: "
            "pip install -c constraints.txt '.[generator]'.",
            file=sys.stderr,
        )
        return 2
    try:
        folder = fetch(
            Hub(options.name, options.revision),
            settings.models,
            file=options.file,
            force=options.force,
        )
        print(f"{folder} is whole and checked; telling from it …", flush=True)
        print(try_out(folder, settings))
    except FetchError as error:
        print(error, file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("\nStopped; the same command goes on from here.", file=sys.stderr)
        return 130
    return 0
