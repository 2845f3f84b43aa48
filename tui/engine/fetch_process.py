"""The process that fetches one model: `python -m tui.engine.fetch_process`, started by the engine.

It is told what to fetch in one line on its input and tells how far it is, line by line, on its output. When its input
ends, the engine is gone or wants it no more, and it ends; what has come waits as `.part` for the next try.
"""

import asyncio
import os
import sys
import threading
import time
from collections import deque
from pathlib import Path
from typing import Final

import msgspec
from msgspec import Struct
from msgspec.structs import replace

from tui.library.fetching import client_for, fetch_all
from tui.library.full_disk import is_full
from tui.library.remote_files import WEIGHTS, RemoteFile, resolve
from tui.library.secrets import redacted
from tui.protocol.download import DownloadState
from tui.protocol.problem import LatenttyError, Problem

TELL_EVERY: Final = 0.5
"""Seconds between two lines about bytes."""

RATE_OVER: Final = 6.0
"""Seconds that a rate is the mean of."""


class FetchOrder(Struct, frozen=True):
    """What to fetch."""

    state: DownloadState
    hosts: list[str]
    """From which alone anything may come."""


class Telling:
    """Tells how far the download is, not more often than someone can read."""

    def __init__(self, state: DownloadState) -> None:
        self.state = state
        self._files: dict[str, tuple[int, int]] = {}
        self._past: deque[tuple[float, int]] = deque()

    def change(self, **fields: object) -> None:
        """Tell that these are so now."""
        self._tell(replace(self.state, **fields))

    def _tell(self, state: DownloadState) -> None:
        self.state = state
        sys.stdout.buffer.write(msgspec.json.encode(self.state) + b"\n")
        sys.stdout.buffer.flush()

    def expect(self, files: list[RemoteFile]) -> None:
        """These files are to come."""
        self._files = {file.name: (0, file.size) for file in files}

    def bytes(self, file: RemoteFile, done: int, total: int) -> None:
        """`done` bytes of `file` are there, of `total` (0: nobody knows)."""
        self._files[file.name] = (done, total or file.size)
        if self._whole:
            self._tell_bytes()

    def wait(self, why: str, seconds: float) -> None:
        """Nothing comes, and it is tried again in so many `seconds`."""
        if seconds:
            self.change(waiting=f"{redacted(why).rstrip('.')}; trying again in {seconds:.0f} s")

    async def beat(self) -> None:
        """Tell how far it is every now and then, also while nothing comes, until cancelled."""
        while True:
            await asyncio.sleep(TELL_EVERY)
            if self.state.phase == "fetching":
                self._tell_bytes()

    @property
    def _whole(self) -> bool:
        return all(total and done == total for done, total in self._files.values())

    def _tell_bytes(self) -> None:
        now = time.monotonic()
        there = sum(done for done, _ in self._files.values())
        known = all(total for _, total in self._files.values())
        self._past.append((now, there))
        while now - self._past[0][0] > RATE_OVER:
            self._past.popleft()
        begun, before = self._past[0]
        rate = (there - before) / (now - begun) if now > begun else 0.0
        told = replace(
            self.state,
            phase="checking" if self._whole else "fetching",
            done_bytes=there,
            total_bytes=sum(total for _, total in self._files.values()) if known else 0,
            rate=max(rate, 0.0),
            waiting=self.state.waiting if there == self.state.done_bytes else "",
        )
        if told != self.state:
            self._tell(told)


async def fetch_model(order: FetchOrder, telling: Telling) -> None:
    """Fetch what `order` says, and tell all of it.

    Raises:
        LatenttyError: it could not be fetched.
    """
    folder = Path(order.state.folder)
    telling.change(phase="asking")
    async with client_for(order.hosts) as client:
        download = await resolve(order.state.source, client, order.hosts)
        telling.expect(download.files)
        telling.change(
            phase="fetching",
            title=download.title,
            license=download.license,
            files=len(download.files),
            total_bytes=sum(file.size for file in download.files),
        )
        beat = asyncio.create_task(telling.beat())
        try:
            paths = await fetch_all(download, folder, client, telling.bytes, telling.wait)
        finally:
            beat.cancel()
    size = sum(path.stat().st_size for path in paths)
    weights = [str(path) for path in paths if path.suffix in WEIGHTS]
    telling.change(phase="done", paths=weights, done_bytes=size, total_bytes=size, rate=0.0, waiting="")


def main() -> int:
    """The process; its exit status."""
    order = msgspec.json.decode(sys.stdin.buffer.readline(), type=FetchOrder)
    threading.Thread(target=_end_with_the_engine, daemon=True).start()
    telling = Telling(order.state)
    try:
        asyncio.run(fetch_model(order, telling))
    except LatenttyError as error:
        problem = replace(error.problem, cause=redacted(error.problem.cause))
        telling.change(phase="failed", problem=problem, rate=0.0, waiting="")
    except OSError as error:
        telling.change(phase="failed", problem=unwritable(order.state.folder, error), rate=0.0, waiting="")
    return 0


def unwritable(folder: str, error: OSError) -> Problem:
    """Why what came cannot be written to `folder`, and what to do."""
    cause = f"{folder} cannot be written: {error.strerror or error}."
    if is_full(error.errno):
        return Problem(
            code="disk_full", cause=cause, hint="Free some space and give the same command: it goes on where it was."
        )
    return Problem(code="output_unwritable", cause=cause, hint="Choose another folder, or change its rights.")


def _end_with_the_engine() -> None:
    while sys.stdin.buffer.read(4096):
        pass
    os._exit(0)


if __name__ == "__main__":
    status = main()
    os._exit(status)  # an orderly end would trip over the thread that still reads
