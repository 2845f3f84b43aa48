"""`python -m tests.faults.quick_engine`: the engine as it is, over a worker process that paints without torch.

With `hatch` as its argument it becomes one for each line that it reads, which is an environment, and tells its process
id: a process that has been forked has imported everything.
"""

import asyncio
import json
import os
import resource
import signal
import sys
from pathlib import Path
from typing import NoReturn

from tests.faults.fault_points import around
from tui.engine import database, pool
from tui.engine.board import Board
from tui.engine.daemon import Engine
from tui.engine.home import ChildHome
from tui.engine.lock import EngineLock
from tui.engine.log_file import write_log
from tui.library.paths import Paths
from tui.library.settings import load_settings

QUICK_PULSE = 0.1
"""Seconds, instead of the worker's own two."""


def hatch() -> None:
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # nobody waits for them here
    for line in sys.stdin:
        pid = os.fork()
        if pid == 0:
            signal.signal(signal.SIGCHLD, signal.SIG_DFL)
            os.environ.clear()
            os.environ.update(json.loads(line))
            nothing = os.open(os.devnull, os.O_RDWR)
            for stream in (0, 1):
                os.dup2(nothing, stream)
            begin()
        print(pid, flush=True)


def begin() -> NoReturn:
    """Be the engine."""
    if descriptors := os.environ.get("DESCRIPTORS"):
        resource.setrlimit(resource.RLIMIT_NOFILE, (int(descriptors), int(descriptors)))
    asyncio.run(main())
    os._exit(0)


async def main() -> None:
    pool.LOOK_AGAIN = pool.LOOK_AFTER = 0.05
    pool.PULSE_EVERY = QUICK_PULSE
    pool.OBEY_WITHIN = 0.3
    pool.START_AGAIN = 0.2
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
    if "hatch" in sys.argv:
        hatch()
    else:
        begin()
