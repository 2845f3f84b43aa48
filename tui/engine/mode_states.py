"""What each mode of each model remembers, across models, modes and restarts."""

import sqlite3
import time

import msgspec

from tui.engine.database import Database
from tui.protocol.job import Mode, ModeState


class ModeStates:
    """The mementoes, by model and mode."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def save(self, model: str, mode: Mode, state: ModeState) -> None:
        """This is what the mode shall remember."""
        packed = msgspec.msgpack.encode(state)
        await self._database.run(
            lambda connection: connection.execute(
                "INSERT OR REPLACE INTO mode_state VALUES (?, ?, ?, ?)", (model, mode, packed, time.time())
            )
        )

    async def all(self) -> dict[str, dict[str, ModeState]]:
        """Everything, by model and mode."""

        def work(connection: sqlite3.Connection) -> dict[str, dict[str, ModeState]]:
            found: dict[str, dict[str, ModeState]] = {}
            for row in connection.execute("SELECT * FROM mode_state ORDER BY updated"):
                state = msgspec.msgpack.decode(row["payload"], type=ModeState)
                found.setdefault(row["model"], {})[row["mode"]] = state
            return found

        return await self._database.run(work)
