"""`latentty engine`: start the daemon, ask how it is, end it, read its log."""

import asyncio
import fcntl
import os
import signal
import sys
import time
from collections import deque
from contextlib import suppress
from typing import Final

import msgspec

import tui
from tui.client import ANSWER_WITHIN, EngineAbsent, attach, start_engine
from tui.headless.json_line import json_line
from tui.library.engine_file import read_engine_file
from tui.library.paths import Paths
from tui.library.plain_text import plain
from tui.protocol import PROTOCOL_VERSION
from tui.protocol.commands import Done, Failed, GetLibrary, Shutdown
from tui.protocol.frames import MAX_FRAME, Hello, Request, encode, engine_frames, read_frame
from tui.protocol.library import LibraryPage, ModelFile
from tui.protocol.problem import LatenttyError, Problem
from tui.protocol.snapshot import Snapshot

PAGE: Final = 1000
"""Files of the library that are asked for at a time."""

END_WITHIN: Final = 20.0
"""Seconds that an engine has to end after being asked."""


def start(paths: Paths) -> int:
    """Start the daemon unless it runs, and say where it is."""
    try:
        snapshot = asyncio.run(read_snapshot(paths))
    except EngineAbsent:
        asyncio.run(start_engine(paths))
        snapshot = asyncio.run(read_snapshot(paths))
    print(f"The engine is running (process {snapshot.engine.pid}).")
    return 0


def status(paths: Paths, *, as_json: bool) -> int:
    """Say what the engine is doing; 3 when none runs."""
    try:
        snapshot = asyncio.run(read_snapshot(paths))
    except EngineAbsent as absent:
        print(json_line({"running": False}) if as_json else plain(str(absent.problem)))
        return 3
    if as_json:
        told = {"running": True, **msgspec.to_builtins(snapshot)}
        print(json_line(told))
    else:
        print("\n".join(f"{name:<9} {plain(value)}" for name, value in _lines(paths, snapshot)))
    return 0


def _lines(paths: Paths, snapshot: Snapshot) -> list[tuple[str, str]]:
    engine, residency = snapshot.engine, snapshot.residency
    worker: str = engine.worker
    if snapshot.loading is not None:
        worker = f"loading {snapshot.loading.model}"
    elif snapshot.running is not None and snapshot.step is not None:
        worker = f"drawing, step {snapshot.step.step} of {snapshot.step.steps}"
    lines = [
        ("engine", f"running (process {engine.pid}, Latentty {engine.version})"),
        ("worker", worker),
        ("queue", f"{len(snapshot.waiting)} waiting" + (", paused" if engine.paused else "")),
    ]
    if engine.hold is not None:
        lines.append(("held", str(engine.hold)))
    if residency is not None:
        used, total = residency.used_bytes / 2**30, residency.total_bytes / 2**30
        lines.append(("device", f"{residency.device} ({residency.device_name}), {used:.1f} of {total:.0f} GiB used"))
        models = sorted({component.model for component in residency.components})
        lines.append(("resident", ", ".join(models) or "nothing"))
    lines.append(("log", str(paths.log_file)))
    return lines


def stop(paths: Paths, *, force: bool) -> int:
    """End the engine, and say so; waiting jobs stay in its queue for the next one."""
    if end(paths, force=force):
        print("The engine has ended. Jobs that wait go on when it starts again.")
    else:
        print("No engine is running.")
    return 0


def end(paths: Paths, *, force: bool) -> bool:
    """End the engine and wait until it is gone; False when none runs.

    Raises:
        LatenttyError: it does not end.
    """
    told = read_engine_file(paths.lock_file)
    if told is None or not is_locked(paths):
        return False
    if force:
        os.kill(told.pid, signal.SIGKILL)
    else:
        try:
            asyncio.run(_ask_to_end(paths))
        except (LatenttyError, TimeoutError):  # hung, or of another version: the signal is the same in all
            os.kill(told.pid, signal.SIGTERM)
    deadline = time.monotonic() + END_WITHIN
    while is_locked(paths):
        if time.monotonic() > deadline:
            raise LatenttyError(
                Problem(
                    code="engine_unavailable",
                    cause=f"The engine (process {told.pid}) does not end.",
                    hint="End it by force, which keeps its queue: latentty engine stop --force",
                )
            )
        time.sleep(0.05)
    return True


def is_locked(paths: Paths) -> bool:
    """Whether a process holds the engine's lock."""
    try:
        with paths.lock_file.open("rb+") as file:
            fcntl.lockf(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except FileNotFoundError:
        return False
    except BlockingIOError:
        return True
    return False


def logs(paths: Paths, *, lines: int) -> int:
    """Print the last `lines` lines of the log."""
    try:
        with paths.log_file.open(encoding="utf-8", errors="replace") as file:
            for line in deque(file, maxlen=lines):
                print(plain(line.rstrip("\n")))
    except FileNotFoundError:
        print(f"There is no log yet; it will be {paths.log_file}.", file=sys.stderr)
        return 1
    return 0


async def read_snapshot(paths: Paths) -> Snapshot:
    """The state of the engine that runs.

    Raises:
        LatenttyError: none runs, or it does not answer.
    """
    _, writer, welcome = await attach(paths, _hello())
    writer.transport.abort()
    assert welcome.snapshot is not None
    return welcome.snapshot


async def read_library(paths: Paths, folders: list[str]) -> list[ModelFile] | None:
    """Every file that the engine that runs has found in `folders`, by name; None when it has not looked through just
    those: other settings are its own, or its search is not at its end.

    Raises:
        LatenttyError: none runs, or it does not answer.
    """
    reader, writer, _ = await attach(paths, _hello())
    files: list[ModelFile] = []
    try:
        while True:
            writer.write(encode(Request(id=len(files) + 1, command=GetLibrary(offset=len(files), limit=PAGE))))
            page = msgspec.msgpack.decode(await _reply(reader), type=LibraryPage)
            files += page.files
            if page.folders != folders:
                return None
            if not page.files or len(files) >= page.total:
                return files
    finally:
        writer.transport.abort()


async def _reply(reader: asyncio.StreamReader) -> msgspec.Raw:
    """The result of the one command that was sent; events before it are passed over."""
    async with asyncio.timeout(ANSWER_WITHIN):
        while (frame := await read_frame(reader, MAX_FRAME)) is not None:
            match engine_frames.decode(frame):
                case Done(result=result):
                    return result
                case Failed(problem=problem):
                    raise LatenttyError(problem)
    raise EngineAbsent


async def _ask_to_end(paths: Paths) -> None:
    reader, writer, _ = await attach(paths, _hello())
    async with asyncio.timeout(END_WITHIN):
        writer.write(encode(Request(id=1, command=Shutdown())))
        await writer.drain()
        with suppress(OSError):
            while await reader.read(65536):
                continue


def _hello() -> Hello:
    return Hello(protocol=PROTOCOL_VERSION, version=tui.__version__)
