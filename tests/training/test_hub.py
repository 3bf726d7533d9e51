"""Models by their name on a hub: a real one's addresses, answered on this machine.

Huggingface's client reads the address of its hub once, so commands run in processes of their own.
"""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
import threading
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any

import pytest
import torch
from transformers import GPT2Config, GPT2LMHeadModel

from tests.training.small import STORIES, TOKENIZER
from training.__main__ import main

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

NAME = "someone/small-gpt2"


@pytest.fixture(scope="module")
def hub(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The address of a hub that has one GPT-2, as transformers saves it."""
    folder = tmp_path_factory.mktemp("hub")
    torch.manual_seed(2)
    shape: dict[str, Any] = {"n_embd": 32, "n_layer": 2, "n_head": 2, "n_positions": 128}
    ids: dict[str, Any] = {"vocab_size": len(TOKENIZER), "bos_token_id": 0, "eos_token_id": 0}
    GPT2LMHeadModel(GPT2Config(**shape, **ids)).save_pretrained(folder)
    TOKENIZER.save_pretrained(folder)

    class Files(BaseHTTPRequestHandler):
        def do_HEAD(self) -> None:
            self._answer()

        def do_GET(self) -> None:
            self.wfile.write(self._answer())

        def log_message(self, *_: object) -> None:
            """Nothing."""

        def _answer(self) -> bytes:
            file = folder / self.path.rpartition("/")[2]
            found = self.path.startswith(f"/{NAME}/resolve/main/") and file.is_file()
            content = file.read_bytes() if found else b""
            self.send_response(HTTPStatus.OK if found else HTTPStatus.NOT_FOUND)
            if not found:
                known = self.path.startswith((f"/{NAME}/", f"/api/models/{NAME}/"))
                self.send_header("X-Error-Code", "EntryNotFound" if known else "RepoNotFound")
            self.send_header("X-Repo-Commit", "0123456789" * 4)
            self.send_header("ETag", f'"{hashlib.sha256(content).hexdigest()}"')
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            return content

    with ThreadingHTTPServer(("127.0.0.1", 0), Files) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()
        thread.join()


def run(home: Path, *commands: list[str], **environment: str) -> tuple[list[int], str, str]:
    """Some commands of `python -m training` in one process, with a cache in `home`.

    Gives their statuses, and all that they print on standard output and standard error.
    """
    code = (
        "import sys; from training.__main__ import main; "
        f"print(*map(main, {commands!r}), file=sys.stderr)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code],
        env={**os.environ, "HF_HOME": str(home), "HF_HUB_OFFLINE": "0", **environment},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    *said, statuses = done.stderr.splitlines()
    return [int(status) for status in statuses.split()], done.stdout, "\n".join(said)


def test_a_model_of_the_hub_is_measured_and_trained_by_name(hub: str, tmp_path: Path) -> None:
    corpus, out = tmp_path / "corpus.jsonl", tmp_path / "mine"
    assert main(["clean", str(STORIES), "--out", str(corpus)]) == 0
    evaluate = ["evaluate", "--model", NAME, "--corpus", str(corpus), "--stories", "2"]
    unknown = ["evaluate", "--model", "someone/else", "--corpus", str(corpus)]
    train = ["train", "--recipe", "finetune-gpt2", "--corpus", str(corpus), "--out", str(out)]
    for setting in (f"model.name='{NAME}'", "model.context=128", "training.epochs=0.2"):
        train += ["--set", setting]
    train += ["--runs", str(tmp_path / "runs")]
    statuses, printed, said = run(tmp_path / "cache", unknown, evaluate, train, HF_ENDPOINT=hub)
    assert statuses == [2, 0, 0], said
    assert "the model someone/else cannot be loaded" in said
    assert "bits_per_byte" in printed
    assert (out / "model.safetensors").is_file()

    # What was fetched once needs no hub.
    statuses, again, said = run(tmp_path / "cache", evaluate, HF_HUB_OFFLINE="1")
    assert statuses == [0], said
    figures = printed.partition("copied_longest")[0]
    assert again.startswith(figures)
