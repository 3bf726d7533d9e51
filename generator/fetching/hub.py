"""A model on a hub: which files it has there, and why they cannot be had."""

from __future__ import annotations

import re
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

import httpx2
from huggingface_hub import HfApi, constants, hf_hub_url
from huggingface_hub.errors import (
    DisabledRepoError,
    EntryNotFoundError,
    GatedRepoError,
    HfHubHTTPError,
    HFValidationError,
    OfflineModeIsEnabled,
    RepositoryNotFoundError,
    RevisionNotFoundError,
)

from generator.fetching.errors import FetchError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from huggingface_hub.hf_api import RepoSibling

_GIT = re.compile(r"[0-9a-f]{40}")
_SHA256 = re.compile(r"[0-9a-f]{64}")
_LARGEST = 1 << 63
"""Bytes of a file, which a JSON number can exceed beyond what can be said of it."""
_PATIENCE = 30.0
"""Seconds for an answer about what there is."""
_SENTENCES: tuple[tuple[type[Exception], str], ...] = (
    (HFValidationError, "{hub.name!r} is no model's name; one looks like OWNER/MODEL"),
    (
        GatedRepoError,
        (
            "{hub.name} is given to those only who asked for it: do so at "
            "{hub.endpoint}/{hub.name}, and set HF_TOKEN to a token of yours"
        ),
    ),
    (DisabledRepoError, "{hub.endpoint} gives {hub.name} to nobody any more"),
    (
        RepositoryNotFoundError,
        "{hub.endpoint} has no model {hub.name}, or it is private: then set HF_TOKEN",
    ),
    (RevisionNotFoundError, "{hub.name} has no revision {hub.revision!r}"),
    (EntryNotFoundError, "{hub.name} has changed meanwhile: fetch it again"),
    (
        HfHubHTTPError,
        "{hub.endpoint} answered {error.response.status_code} for {hub.name}: try again later",
    ),
    (UnicodeEncodeError, "HF_TOKEN or the revision has letters that no request can carry"),
    (OfflineModeIsEnabled, "HF_HUB_OFFLINE is set, so no hub is asked"),
    (httpx2.InvalidURL, "HF_ENDPOINT is no address: {hub.endpoint!r}"),
    (
        httpx2.HTTPError,
        (
            "{hub.endpoint} cannot be reached, or broke off ({error.__class__.__name__}): the same "
            "command goes on from here"
        ),
    ),
)
"""What the hub's client may raise, in words; the first that fits."""


@dataclass(frozen=True, slots=True, kw_only=True)
class HubFile:
    """A file as the hub describes it."""

    name: str
    size: int
    """Bytes."""
    digest: str
    """In hexadecimal."""
    algorithm: str
    """What it is the digest of: `sha256` of the bytes, or `git` of a blob, which is SHA-1."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Listing:
    """What a model has at one commit."""

    commit: str
    files: dict[str, HubFile]
    """Those of its first level, by name."""


class Hub:
    """One model of the hub that HF_ENDPOINT names, by default Hugging Face's; HF_TOKEN is shown."""

    def __init__(self, name: str, revision: str | None = None, endpoint: str | None = None) -> None:
        self.name = name
        self.revision = revision
        self.endpoint = endpoint or constants.ENDPOINT
        self._api = HfApi(endpoint=self.endpoint)

    def list(self) -> Listing:
        """Its files at the revision.

        Raises:
            FetchError: there is no such model or revision, or it cannot be had.
        """
        with self._understanding():
            info = self._api.model_info(
                self.name, revision=self.revision, files_metadata=True, timeout=_PATIENCE
            )
            files = [file for one in info.siblings or () if (file := _file_of(one)) is not None]
            if info.sha is None or not _GIT.fullmatch(info.sha):
                raise ValueError("no commit")
            return Listing(commit=info.sha, files={file.name: file for file in files})

    def architecture(self) -> str | None:
        """What the hub says that the model's GGUF files hold, if it says so."""
        with self._understanding():
            info = self._api.model_info(
                self.name, revision=self.revision, expand=["gguf"], timeout=_PATIENCE
            )
        said = info.gguf.get("architecture") if isinstance(info.gguf, dict) else None
        return str(said) if said is not None else None

    def address(self, listing: Listing, name: str) -> str:
        """Where a file is, at the listing's commit."""
        return hf_hub_url(self.name, name, revision=listing.commit, endpoint=self.endpoint)

    @contextmanager
    def explaining(self) -> Iterator[None]:
        """Turns what the hub's client says into a sentence.

        Raises:
            FetchError: instead of the client's.
        """
        try:
            yield
        except tuple(kind for kind, _ in _SENTENCES) as error:
            sentence = next(text for kind, text in _SENTENCES if isinstance(error, kind))
            raise FetchError(sentence.format(hub=self, error=error)) from error

    @contextmanager
    def _understanding(self) -> Iterator[None]:
        """Also what its client, or we, stumble over in an answer of another form.

        Raises:
            FetchError: instead of whatever it is.
        """
        try:
            with self.explaining():
                yield
        except (
            ValueError,
            TypeError,
            LookupError,
            AttributeError,
            ArithmeticError,
            RecursionError,
        ) as error:
            raise FetchError(
                f"{self.endpoint} is no hub of models: what it says of {self.name} has another form"
            ) from error


def _file_of(said: RepoSibling) -> HubFile | None:
    """One that can be had, as the hub describes it.

    Raises:
        ValueError, TypeError: it describes none.
    """
    name, size, lfs = said.rfilename, said.size, said.lfs
    digest = lfs.sha256 if lfs else said.blob_id
    if "/" in name or "\\" in name or size is None or digest is None:
        return None  # a model's folder has no folders
    if not name.isprintable():
        return None  # and no names that would command a terminal
    if (
        type(size) is not int
        or not 0 <= size < _LARGEST
        or not (_SHA256 if lfs else _GIT).fullmatch(digest)
    ):
        raise ValueError(f"no size or digest of {name}")
    return HubFile(name=name, size=size, digest=digest, algorithm="sha256" if lfs else "git")
