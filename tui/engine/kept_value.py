"""One value that every engine leaves to the next, in a table with a single row."""

import sqlite3
from typing import Generic, TypeVar

import msgspec

from tui.engine.database import Database

T = TypeVar("T", bound=msgspec.Struct)


class KeptValue(Generic[T]):
    """The value of the type `kind` in `table`."""

    def __init__(self, database: Database, table: str, kind: type[T]) -> None:
        self._database = database
        self._table = table
        self._kind = kind

    async def load(self) -> T | None:
        """What was kept last; None before that, or when another version kept it in a form of its own."""

        def work(connection: sqlite3.Connection) -> T | None:
            row = connection.execute(f"SELECT payload FROM {self._table}").fetchone()
            try:
                return None if row is None else msgspec.msgpack.decode(row["payload"], type=self._kind)
            except msgspec.MsgspecError:
                return None

        return await self._database.run(work)

    async def save(self, value: T) -> None:
        """Keep `value` instead of what was kept before."""
        packed = msgspec.msgpack.encode(value)
        await self._database.run(
            lambda connection: connection.execute(f"INSERT OR REPLACE INTO {self._table} VALUES (1, ?)", (packed,))
        )
