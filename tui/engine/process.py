"""Becoming the engine: in the foreground, or as a daemon that tells its starter how the start went."""

import asyncio
import logging
import os
import resource
import stat
import sys
from contextlib import suppress
from typing import Final

from tui.engine.daemon import Engine
from tui.engine.lock import AlreadyRunning, EngineLock
from tui.engine.log_file import write_log
from tui.library.paths import Paths
from tui.library.plain_text import plain
from tui.library.settings import load_settings
from tui.protocol.problem import LatenttyError, Problem

log = logging.getLogger(__name__)

ANOTHER_RUNS: Final = 3
"""Exit status of an engine that found another one running."""


def run(paths: Paths) -> int:
    """Be the engine in the foreground; the exit status."""
    status, words = _be_engine(paths, ready=None)
    if words:
        print(plain(f"latentty: {words}"), file=sys.stderr)
    return status


def run_detached(paths: Paths) -> int:
    """Be the engine in a forked child; this process returns when the child listens, or says why it cannot.

    The caller starts this process in a session of its own. Its leader ends here, so the engine, which is not the
    leader, can never get a controlling terminal.
    """
    ready, told = os.pipe()
    if os.fork():
        os.close(told)
        return _wait(ready)
    os.close(ready)
    null = os.open(os.devnull, os.O_RDWR)
    for stream in (0, 1, 2):
        os.dup2(null, stream)
    status, words = _be_engine(paths, ready=told)
    with suppress(OSError):
        os.write(told, f"{status} {words}".encode())
    return status


def _wait(ready: int) -> int:
    words = b""
    while piece := os.read(ready, 65536):
        words += piece
    status, _, why = words.decode(errors="replace").partition(" ")
    if status in ("0", str(ANOTHER_RUNS)):
        return 0
    print(plain(why) or "it ended without a word", file=sys.stderr)
    return 1


def _be_engine(paths: Paths, ready: int | None) -> tuple[int, str]:
    try:
        asyncio.run(_serve(paths, ready))
    except AlreadyRunning:
        return ANOTHER_RUNS, "another engine is running"
    except LatenttyError as error:
        log.error("%s", error)
        return 1, str(error)
    except Exception as error:
        log.exception("the engine ended")
        return 1, f"{type(error).__name__}: {error}"
    return 0, ""


async def _serve(paths: Paths, ready: int | None) -> None:
    os.umask(os.umask(0o077) | stat.S_IWOTH)  # whoever may see the pictures, not everybody may change them
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    try:
        lock = EngineLock(paths.lock_file)
        write_log(paths.log_file)
    except OSError as error:
        raise LatenttyError(
            Problem(
                code="engine_unavailable",
                cause=f"The state folder {paths.state} cannot be written: {error.strerror}.",
                hint="Make it writable, or set XDG_STATE_HOME to another folder.",
            )
        ) from None
    engine = Engine(paths, load_settings(paths), lock)
    await engine.start()
    if ready is not None:
        os.write(ready, b"0 ")
        os.close(ready)
    await engine.run()
