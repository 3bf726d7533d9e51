"""The folder of a run: checkpoint, log, tokenizer; of one training, and one process at a time."""

from __future__ import annotations

import fcntl
import hashlib
import json
import shutil
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from pydantic import ValidationError

from training.errors import InputError
from training.recipe import Recipe

if TYPE_CHECKING:
    from collections.abc import Iterator

TOKENIZER = "tokenizer"
"""The folder of that name in a run's."""

_ORDER = 2
"""Raised whenever the same recipe would make other batches than before, or in another order: a
checkpoint's place among them would mean another one."""


@contextmanager
def claimed(folder: Path, recipe: Recipe, corpus: Path) -> Iterator[None]:
    """Holds a run's folder, made or emptied unless it has a checkpoint of just this training.

    How stories are sampled may change, for it changes no weight.

    Raises:
        InputError: the checkpoint is another training's, or another process trains here.
    """
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / "lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise InputError(
                f"{folder}: another process trains here; wait for it, or choose another --out."
            ) from error
        identity: dict[str, object] = {"order": _ORDER, "corpus": _fingerprint(corpus)}
        if recipe.teacher:
            taught_by = Path(recipe.teacher.name)
            identity["teacher"] = [
                _fingerprint(file)
                for file in (taught_by / "tokenizer.json", taught_by / "model.safetensors")
                if file.is_file()
            ]
        path = folder / "run.json"
        if (folder / "checkpoint.pt").is_file():
            if not _same(path, identity, recipe):
                raise InputError(
                    f"{folder} holds the checkpoint of another training, by other settings, texts "
                    "or code, or of another teacher: go on with those, delete it to start anew, or "
                    "choose another --out."
                )
        else:
            shutil.rmtree(folder / TOKENIZER, ignore_errors=True)
            (folder / "best.pt").unlink(missing_ok=True)
        identity["recipe"] = recipe.model_dump(mode="json")
        path.write_text(json.dumps(identity, indent=2), encoding="utf-8")
        yield


def _same(path: Path, identity: dict[str, object], recipe: Recipe) -> bool:
    """Whether the file tells of this training."""
    try:
        before = json.loads(path.read_text(encoding="utf-8"))
        trained = Recipe.model_validate(before.pop("recipe"))
    except (OSError, ValueError, ValidationError, AttributeError, KeyError):
        return False
    return before == identity and trained.model_copy(update={"sampling": recipe.sampling}) == recipe


def _fingerprint(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
