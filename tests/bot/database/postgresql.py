"""A PostgreSQL server of the tests' own, thrown away with everything in it."""

from __future__ import annotations

import itertools
import os
import pwd
import shutil
import subprocess
import tempfile
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator

USER = "kataribe"
PAST_BOTS_ENDED = """
SELECT pg_terminate_backend(pid, 5000) FROM pg_locks JOIN pg_stat_activity USING (pid)
WHERE locktype = 'advisory' AND objsubid = 2
"""
"""The server may be late to hear that a bot of the test before has ended, and its locks are of all
schemas: the next one would meet another bot."""


@dataclass(frozen=True, slots=True)
class Server:
    """A running server; it listens on nothing but a socket in its folder."""

    programs: Path
    folder: Path
    _numbers: Iterator[int] = field(default_factory=lambda: itertools.count(1))

    def new_database(self) -> str:
        """Make something empty that is a database to whoever has its URL.

        A schema, which bears the name of a user whom the server looks for tables there; a whole
        database would be nine hundred files.
        """
        name = f"kataribe{next(self._numbers)}"
        said = f"{PAST_BOTS_ENDED}; CREATE ROLE {name} SUPERUSER LOGIN; "
        said += f"CREATE SCHEMA AUTHORIZATION {name}"
        where: list[str | Path] = ["-h", self.folder, "-U", USER, "-d", "postgres"]
        subprocess.run([self.programs / "psql", *where, "-qc", said], check=True, env={})
        return f"postgresql+asyncpg://{name}:nobodys-password@/postgres?host={self.folder}"


def programs() -> Path | None:
    """Where `initdb` and its like are; None where PostgreSQL is not installed."""
    if found := shutil.which("initdb"):
        return Path(found).resolve().parent
    # Debian keeps them out of PATH, one folder a version.
    versions = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"))
    return versions[-1].parent if versions else None


@contextmanager
def serve(where: Path) -> Iterator[Server]:
    """Start a server, and stop it on leaving."""
    # A short path: the name of a socket has room for a hundred characters.
    with tempfile.TemporaryDirectory(prefix="kataribe-") as name:
        folder = Path(name)
        given: dict[str, Any] = {"stdout": subprocess.DEVNULL, "cwd": folder}
        if os.geteuid() == 0:
            # PostgreSQL refuses to run as root.
            user = somebody()
            os.chown(folder, user.pw_uid, user.pw_gid)
            given |= {"user": user.pw_uid, "group": user.pw_gid, "extra_groups": []}
        data = folder / "data"

        def run(program: str, *arguments: str | Path) -> None:
            subprocess.run([where / program, "-D", data, *arguments], check=True, **given)

        run("initdb", "--auth=trust", "--no-sync", "--encoding=UTF8", "--locale=C", "-U", USER)
        options = f"-k {folder} -h '' -F -c full_page_writes=off -c synchronous_commit=off"
        run("pg_ctl", "-l", folder / "log", "-o", options, "-w", "start")
        try:
            yield Server(where, folder)
        finally:
            run("pg_ctl", "-m", "fast", "-w", "stop")


def somebody() -> pwd.struct_passwd:
    try:
        return pwd.getpwnam("postgres")
    except KeyError:
        return pwd.getpwnam("nobody")
