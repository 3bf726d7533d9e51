"""`make lock`: writes requirements.lock, every package of constraints.txt with its files' digests.

Usage: python deploy/lock.py [WHEEL …]; each wheel is a build of one of the packages that PyPI does
not have, as PyTorch's for machines without an NVIDIA card.
"""

from __future__ import annotations

import hashlib
import json
import re
import sys
import urllib.request
from pathlib import Path

INDEX = "https://pypi.org/simple"
JSON = "application/vnd.pypi.simple.v1+json"
HEAD = """\
# Every package of constraints.txt, with the digests of all files that PyPI has of that version, and
# of PyTorch's wheel for machines without an NVIDIA card. Made by `make lock`.
# pip install --require-hashes -r requirements.lock
"""


def files_of(name: str, version: str) -> dict[str, str]:
    """What PyPI has of a version: digests by file name."""
    request = urllib.request.Request(f"{INDEX}/{name}/", headers={"Accept": JSON})  # noqa: S310  # https
    with urllib.request.urlopen(request, timeout=60) as answer:  # noqa: S310  # the same
        files = json.load(answer)["files"]
    # A wheel's name has its version second, a source archive's last.
    return {
        file["filename"]: file["hashes"]["sha256"]
        for file in files
        if re.search(rf"-{re.escape(version)}(-|\.tar\.gz$|\.zip$)", file["filename"])
    }


def main(wheels: list[str]) -> None:
    """Write the file."""
    lines = [HEAD]
    built = {Path(wheel).name: hashlib.sha256(Path(wheel).read_bytes()) for wheel in wheels}
    for pin in Path("constraints.txt").read_text("utf-8").split("\n"):
        if not pin or pin.startswith("#"):
            continue
        name, _, version = pin.partition("==")
        wanted = re.sub(r"[-_.]+", "-", name).lower()
        files = files_of(wanted, version)
        if built and wanted == "torch":  # PyPI's for Linux on x86 needs what constraints.txt lacks
            files = {file: digest for file, digest in files.items() if "linux" not in file}
        digests = set(files.values())
        digests |= {
            digest.hexdigest() for wheel, digest in built.items() if wheel.startswith(f"{name}-")
        }
        if not digests:
            sys.exit(f"PyPI has no files of {pin}.")
        lines.append(" \\\n    ".join([pin, *(f"--hash=sha256:{one}" for one in sorted(digests))]))
    Path("requirements.lock").write_text("\n".join([*lines, ""]), "utf-8")


if __name__ == "__main__":
    main(sys.argv[1:])
