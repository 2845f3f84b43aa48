"""The table at the end of the run: what was tried, how often, and what was lost."""

import asyncio
import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import Attached
from tui import client as client_module
from tui.headless.engine_control import is_locked
from tui.library.engine_file import read_engine_file
from tui.library.paths import Paths

ROWS: list[tuple[str, int, int, str]] = []


class Tally:
    """Counts what one test tried and what was lost by it; a row of the table."""

    def __init__(self, what: str) -> None:
        self._what = what
        self.tried = 0
        self.lost = 0
        self.note = ""

    def end(self) -> None:
        if self.tried:
            ROWS.append((self._what, self.tried, self.lost, self.note))


@pytest.fixture
def tally(request: pytest.FixtureRequest) -> Iterator[Tally]:
    name = request.node.name.removeprefix("test_").replace("_", " ")
    tally = Tally(name)
    yield tally
    tally.end()


@pytest.fixture
def times(request: pytest.FixtureRequest) -> Callable[[int, int], int]:
    """How often to try: the first number, or the second in the long run."""
    long = request.config.getoption("--long-faults")
    return lambda short, full: full if long else short


@pytest.fixture
def chance(request: pytest.FixtureRequest) -> random.Random:
    """Random numbers, the same in every run; another seed is given by LATENTTY_FAULT_SEED."""
    return random.Random(f"{os.environ.get('FAULT_SEED', '')}{request.node.name}")


def pytest_terminal_summary(terminalreporter: Any) -> None:
    if not ROWS:
        return
    terminalreporter.section("faults")
    width = max(len(row[0]) for row in ROWS)
    terminalreporter.write_line(f"{'what':<{width}} {'tried':>8} {'lost':>5}  note")
    for what, tried, lost, note in ROWS:
        terminalreporter.write_line(f"{what:<{width}} {tried:>8,} {lost:>5}  {note}")


class QuickEngine:
    """A real engine in a process of its own, whose worker is a real process too, but paints without torch."""

    def __init__(self, paths: Paths) -> None:
        self.paths = paths
        self.process: subprocess.Popen[bytes] | None = None
        self._clients: list[asyncio.Task[None]] = []

    def start(self, *, limit: Callable[[], None] | None = None, **environment: str) -> float:
        """Start it; the seconds until it listens."""
        begun = time.monotonic()
        self._spawn(limit, environment)
        while self.pid is None or not self.is_listening():
            assert self.process is not None
            if self.process.poll() == -signal.SIGKILL:  # its time had come already
                self._spawn(limit, environment)
            assert self.process.poll() is None, "the engine ended at its start"
            assert time.monotonic() - begun < 60
            time.sleep(0.01)
        return time.monotonic() - begun

    def _spawn(self, limit: Callable[[], None] | None, environment: dict[str, str]) -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-m", "tests.faults.quick_engine"],
            env=os.environ | environment,
            preexec_fn=limit,
            stdin=subprocess.DEVNULL,
        )

    @property
    def pid(self) -> int | None:
        """Of the engine that listens."""
        told = read_engine_file(self.paths.lock_file)
        if told is None or self.process is None or told.pid != self.process.pid:
            return None
        return told.pid

    def is_listening(self) -> bool:
        told = read_engine_file(self.paths.lock_file)
        return told is not None and Path(told.socket).exists() and is_locked(self.paths)

    def worker(self) -> int | None:
        """The process id of its worker."""
        assert self.process is not None
        try:
            children = Path(f"/proc/{self.process.pid}/task/{self.process.pid}/children").read_text().split()
        except FileNotFoundError:
            return None
        return int(children[0]) if children else None

    def kill(self) -> None:
        assert self.process is not None
        self.process.kill()
        self.process.wait()

    async def attach(self) -> Attached:
        attached = Attached(self.paths)
        attached.client = type(attached.client)(self.paths, attached.watching, start=False)
        self._clients.append(asyncio.create_task(attached.client.run()))
        await attached.until(lambda: attached.client.snapshot is not None, 30)
        return attached

    async def stop(self) -> None:
        for client in self._clients:
            client.cancel()
        await asyncio.gather(*self._clients, return_exceptions=True)
        if self.process is not None and self.process.poll() is None:
            self.process.send_signal(signal.SIGCONT)
            self.kill()


@pytest.fixture
async def quick(home: Paths, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[QuickEngine]:
    monkeypatch.setenv("LATENTTY_AUTOLOAD", "false")
    monkeypatch.setattr(client_module, "TRY_AGAIN", 0.02)
    engine = QuickEngine(home)
    yield engine
    await engine.stop()
