"""A PgBouncer of the tests' own, before the tests' PostgreSQL."""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sqlalchemy.engine import make_url

from tests.bot.database.postgresql import somebody

if TYPE_CHECKING:
    import pwd
    from collections.abc import Iterator

PROGRAM = shutil.which("pgbouncer", path=f"{os.environ['PATH']}:/usr/sbin")
SESSIONS = 3
"""Of PostgreSQL, for everybody: so that hardly two transactions in a row have the same."""
SETTINGS = """
[databases]
postgres = host={server} dbname=postgres
[pgbouncer]
pool_mode = {mode}
default_pool_size = {sessions}
server_round_robin = 1
listen_addr =
unix_socket_dir = {folder}
listen_port = 6432
auth_type = trust
auth_file = {folder}/users
logfile =
"""


@contextmanager
def pooled(url: str, mode: str = "transaction") -> Iterator[str]:
    """Start one; gives the URL of the same database through it."""
    assert PROGRAM is not None
    at = make_url(url)
    with tempfile.TemporaryDirectory(prefix="kataribe-") as name:
        folder = Path(name)
        (folder / "users").write_text(f'"{at.username}" ""\n')
        settings = SETTINGS.format(
            server=at.query["host"], folder=folder, mode=mode, sessions=SESSIONS
        )
        (folder / "settings").write_text(settings)
        given: dict[str, Any] = {"stderr": subprocess.PIPE, "text": True}
        if os.geteuid() == 0:
            # It refuses to run as root, as PostgreSQL does.
            user: pwd.struct_passwd = somebody()
            os.chown(folder, user.pw_uid, user.pw_gid)
            given |= {"user": user.pw_uid, "group": user.pw_gid, "extra_groups": []}
        with subprocess.Popen([PROGRAM, folder / "settings"], **given) as process:
            try:
                assert process.stderr is not None
                assert any("process up" in line for line in process.stderr)
                through = at.set(port=6432).update_query_dict({"host": name})
                yield through.render_as_string(hide_password=False)
            finally:
                process.terminate()
                process.communicate()
