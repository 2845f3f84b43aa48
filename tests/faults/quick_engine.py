"""`python -m tests.faults.quick_engine`: the engine as it is, over a worker process that paints without torch."""

import asyncio
import os
import sys
from pathlib import Path

from tests.faults.fault_points import around
from tui.engine import database, pool
from tui.engine.board import Board
from tui.engine.daemon import Engine, write_log
from tui.engine.home import ChildHome
from tui.engine.lock import EngineLock
from tui.library.paths import Paths
from tui.library.settings import load_settings

QUICK_PULSE = 0.2
"""Seconds, instead of the worker's own two."""


async def main() -> None:
    pool.LOOK_AGAIN = pool.LOOK_AFTER = 0.1
    pool.PULSE_EVERY = QUICK_PULSE
    pool.OBEY_WITHIN = 0.5
    pool.START_AGAIN = 0.3
    database.Database._transact = around(database.Database._transact, "commit")
    Board.tell = around(Board.tell, "tell")
    os.fsync = around(os.fsync, "fsync")
    Path.rename = around(Path.rename, "rename")
    Engine._answer = around(Engine._answer, "answer")
    paths = Paths.of_user()
    lock = EngineLock(paths.lock_file)
    write_log(paths.log_file)
    engine = Engine(paths, load_settings(paths), lock, lambda: ChildHome("tests.faults.quick_worker"))
    await engine.start()
    await engine.run()


if __name__ == "__main__":
    sys.exit(asyncio.run(main()))
