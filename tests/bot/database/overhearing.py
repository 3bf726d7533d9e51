"""What the databases' drivers are asked to do without SQLAlchemy, overheard in tests."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from sqlalchemy import event

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from bot.database import Database


@contextmanager
def overheard(database: Database, hear: Callable[[str, Sequence[Any]], None]) -> Iterator[None]:
    """Hear each statement, and its values, on the connections that are taken meanwhile."""
    one_writer, over = database.sessions.one_writer, False

    def logged(asked: Any) -> None:
        hear(asked.query, asked.args)

    def taken(connection: Any, record: Any, _proxy: object) -> None:
        driver = connection.driver_connection
        if not one_writer:
            driver.add_query_logger(logged)
            return
        if "does" not in record.info:
            record.info["does"] = driver.execute_fetchall
        do = record.info["does"]

        async def heard(words: str, values: Sequence[Any] = ()) -> Any:
            if not over:
                hear(words, values)
            return await do(words, values)

        driver.execute_fetchall = heard

    def given_back(connection: Any, _record: object) -> None:
        if not one_writer:
            connection.driver_connection.remove_query_logger(logged)

    engine = database.engine.sync_engine
    event.listen(engine, "checkout", taken)
    event.listen(engine, "checkin", given_back)
    try:
        yield
    finally:
        over = True
        event.remove(engine, "checkout", taken)
        event.remove(engine, "checkin", given_back)
