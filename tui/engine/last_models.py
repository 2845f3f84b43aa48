"""The models that the last engine had found, so that the next one need not look at the disk before it listens."""

import sqlite3

import msgspec

from tui.engine.database import Database
from tui.protocol.events import ModelsFound


class LastModels:
    """What was found last, as one row."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def load(self) -> ModelsFound | None:
        """What was saved; None at the first start, or when another version saved it in a form of its own."""

        def work(connection: sqlite3.Connection) -> ModelsFound | None:
            row = connection.execute("SELECT payload FROM last_models").fetchone()
            try:
                return None if row is None else msgspec.msgpack.decode(row["payload"], type=ModelsFound)
            except msgspec.MsgspecError:
                return None

        return await self._database.run(work)

    async def save(self, found: ModelsFound) -> None:
        """Remember `found` instead of what was saved before."""
        packed = msgspec.msgpack.encode(found)
        await self._database.run(
            lambda connection: connection.execute("INSERT OR REPLACE INTO last_models VALUES (1, ?)", (packed,))
        )
