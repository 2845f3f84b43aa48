"""Where a worker lives. The pool knows only the interface; a child process is the default home."""

import asyncio
import logging
import os
import socket
import sys
import time
from collections.abc import AsyncIterator
from contextlib import suppress
from typing import Final, Protocol

from tui.protocol.frames import MALFORMED, MAX_FRAME, FrameError, Order, WorkerFrame, encode, read_frame, worker_frames

log = logging.getLogger(__name__)

QUIET: Final = {
    "DIFFUSERS_VERBOSITY": "error",
    "DISABLE_TELEMETRY": "YES",
    "DO_NOT_TRACK": "1",
    "HF_HUB_DISABLE_PROGRESS_BARS": "1",
    "HF_HUB_DISABLE_TELEMETRY": "1",
    "HF_HUB_OFFLINE": "1",
    "DIFFUSERS_DISABLE_REMOTE_CODE": "1",
    "TOKENIZERS_PARALLELISM": "false",
    "TRANSFORMERS_VERBOSITY": "error",
    "PYTHONUNBUFFERED": "1",
}
"""The environment in which diffusers and its kin keep quiet, stay offline and run no code from a model's folder."""

GENTLE: Final = {"OMP_WAIT_POLICY": "PASSIVE"}
"""Set unless the user's environment says otherwise. On a CPU that others use too, torch's threads spend most of their
time waiting for each other in busy loops; sleeping instead draws almost twice as fast there (6.9 s down to 3.8 s)."""

TELLING: Final = ("CUDA error", "Assertion", "HIP error")
"""What a line of a worker has in it that says why it crashed soon after: a device's own words come before torch's."""

OF_THE_DEVICE: Final = ("CUDA error", "HIP error", "block: [")
"""What such a line has in it when the device failed; its own assertions name the block and the thread they failed in.
A library's on the host do not."""

SOON: Final = 10.0
"""Seconds before the end within which such a line counts: others were got over."""

LONGEST_REASON: Final = 300
"""Characters of such a line that are told."""

PATIENCE: Final = 5.0
"""Seconds that a worker has to end by itself."""


class WorkerLost(Exception):
    """The worker ended, or said something that it never says."""


class Home(Protocol):
    """One worker, wherever it lives."""

    async def start(self) -> None:
        """Bring a fresh worker to life."""

    async def send(self, order: Order) -> None:
        """Give it an order.

        Raises:
            WorkerLost: it is gone.
        """

    def frames(self) -> AsyncIterator[WorkerFrame]:
        """What it says, until it is gone.

        Raises:
            WorkerLost: at the end.
        """

    async def end(self) -> None:
        """Let go of it; after a little patience, by force."""

    def kill(self) -> None:
        """End it now."""


class ChildHome:
    """A child process at the other end of a socket pair; it exits when this end closes."""

    def __init__(self, module: str = "tui.worker") -> None:
        self._module = module
        self._process: asyncio.subprocess.Process | None = None
        self._reader: asyncio.StreamReader | None = None
        self._writer: asyncio.StreamWriter | None = None
        self._output: asyncio.Task[None] | None = None
        self._reason, self._told_at = "", 0.0
        """The last line that may say why it ends, and when it came."""

    async def start(self) -> None:
        ours, theirs = socket.socketpair()
        with theirs:
            self._process = await asyncio.create_subprocess_exec(
                sys.executable,
                "-m",
                self._module,
                str(theirs.fileno()),
                pass_fds=[theirs.fileno()],
                stdin=asyncio.subprocess.DEVNULL,
                stdout=asyncio.subprocess.PIPE,
                stderr=asyncio.subprocess.STDOUT,
                env=GENTLE | os.environ | QUIET,
            )
        self._reader, self._writer = await asyncio.open_connection(sock=ours)
        assert self._process.stdout is not None
        self._reason, self._told_at = "", 0.0
        self._output = asyncio.create_task(self._log_lines(self._process.stdout))

    async def send(self, order: Order) -> None:
        assert self._writer is not None
        try:
            self._writer.write(encode(order))
            await self._writer.drain()
        except OSError as error:
            raise WorkerLost(str(error)) from None

    async def frames(self) -> AsyncIterator[WorkerFrame]:
        assert self._reader is not None
        while True:
            try:
                frame = await read_frame(self._reader, MAX_FRAME)
            except (FrameError, OSError) as error:
                raise WorkerLost(str(error)) from None
            if frame is None:
                raise WorkerLost(await self._last_words())
            try:
                yield worker_frames.decode(frame)
            except MALFORMED as error:
                raise WorkerLost(f"it said what it never says: {error}") from None

    async def end(self) -> None:
        if self._process is None or self._writer is None:
            return
        self._writer.close()
        try:
            async with asyncio.timeout(PATIENCE):
                await self._process.wait()
        except TimeoutError:
            self.kill()
            await self._process.wait()
        if self._output is not None:
            await self._output

    def kill(self) -> None:
        if self._process is not None and self._process.returncode is None:
            with suppress(ProcessLookupError):
                self._process.kill()

    async def _last_words(self) -> str:
        assert self._process is not None
        assert self._output is not None
        try:
            async with asyncio.timeout(PATIENCE):
                code = await self._process.wait()
        except TimeoutError:
            return "it closed its connection"
        await asyncio.wait({self._output}, timeout=PATIENCE)  # its last lines
        ended = f"killed by signal {-code}" if code < 0 else f"exit status {code}"
        recent = self._reason and time.monotonic() - self._told_at < SOON
        return f"{ended} after it said: {self._reason}" if recent else ended

    async def _log_lines(self, stream: asyncio.StreamReader) -> None:
        """The worker's output, line by line, in the engine's log; lines without end are cut."""
        while True:
            try:
                line = await stream.readline()
            except ValueError:  # longer than the stream's limit; the reader has dropped it
                continue
            if not line:
                return
            told = line.decode(errors="replace").rstrip()
            if any(words in told for words in TELLING):
                self._reason, self._told_at = told[:LONGEST_REASON], time.monotonic()
            level, said = _level_of(told)
            log.log(level, "worker: %s", said)


def _level_of(line: str) -> tuple[int, str]:
    """How serious a line of the worker's is, and the line without that; what is not its log's is told by the way."""
    name, _, rest = line.partition(" ")
    level = logging.getLevelNamesMapping().get(name)
    return (logging.INFO, line) if level is None else (level, rest)
