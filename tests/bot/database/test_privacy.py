"""What of the database others may see: nothing."""

from __future__ import annotations

import stat
from typing import TYPE_CHECKING

import pytest
from sqlalchemy.exc import IntegrityError

from bot.config import Settings
from bot.database import open_database
from tests.bot.wishes import queue_of, wish

if TYPE_CHECKING:
    from pathlib import Path

    from bot.database import Database


def rights(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


@pytest.mark.parametrize("before", [None, 0o644])
async def test_the_file_and_its_companions_are_its_owners_alone(
    tmp_path: Path, before: int | None
) -> None:
    file = tmp_path / "kataribe.db"
    if before is not None:
        file.touch(before)
        file.chmod(before)
    async with open_database(f"sqlite+aiosqlite:///{file}") as database:
        await queue_of(database).enqueue(wish())
        for companion in ("", "-wal", "-shm"):
            assert rights(tmp_path / f"kataribe.db{companion}") == 0o600


def test_no_representation_of_the_settings_has_the_databases_password(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    url = "postgresql+asyncpg://kataribe:hidden@db.example/kataribe"
    monkeypatch.setenv("KATARIBE_DATABASE__URL", url)
    settings = Settings()
    assert settings.database.url == url
    for said in (repr(settings), str(settings), repr(settings.database), str(settings.database)):
        assert "hidden" not in said


async def test_an_error_shows_neither_words_nor_tokens(database: Database) -> None:
    asked = wish(prompt="words of mine", answer_token="a token", parent_id=10**6)
    with pytest.raises(IntegrityError) as raised:
        await queue_of(database).enqueue(asked)
    assert "words of mine" not in str(raised.value)
    assert "a token" not in str(raised.value)
