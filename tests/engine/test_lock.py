"""One process is the engine, and its lock dies with it."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from tui.engine.lock import AlreadyRunning, EngineLock
from tui.library.engine_file import EngineFile, read_engine_file

HOLD = """
import os, sys, time
from pathlib import Path
from tui.engine.lock import EngineLock
lock = EngineLock(Path(sys.argv[1]))
if os.fork() == 0:  # a child, as data loaders make them, must not keep the lock
    time.sleep(60)
print("held", flush=True)
time.sleep(60)
"""


def test_a_second_engine_is_refused_until_the_first_is_dead(tmp_path: Path) -> None:
    path = tmp_path / "engine.lock"
    holder = subprocess.Popen([sys.executable, "-c", HOLD, str(path)], stdout=subprocess.PIPE, start_new_session=True)
    assert holder.stdout is not None
    assert holder.stdout.readline() == b"held\n"
    with pytest.raises(AlreadyRunning):
        EngineLock(path)
    holder.kill()
    holder.wait()
    lock = EngineLock(path)
    content = EngineFile(pid=1, socket="/s", protocol=1, version="1", boot="b")
    lock.write(content)
    assert read_engine_file(path) == content
    lock.release()
    assert read_engine_file(path) is None
    os.killpg(holder.pid, signal.SIGKILL)
