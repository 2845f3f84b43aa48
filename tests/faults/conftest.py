"""What the tests of faults share: a tally of what was tried, the chance they take, and engines without torch."""

import asyncio
import json
import math
import os
import random
import select
import signal
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest

from tests.conftest import Attached
from tests.faults.table import TALLY, Tally, kept_rows
from tui import client as client_module
from tui.headless.engine_control import is_locked
from tui.library.engine_file import read_engine_file
from tui.library.paths import Paths

FAILED = pytest.StashKey[bool]()


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Iterator[None]:
    report = yield
    if report.when == "call":
        item.stash[FAILED] = report.failed
    return report


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    if config.getoption("--long-faults"):
        for item in items:
            item.add_marker(pytest.mark.timeout(0))


@pytest.fixture
def tally(request: pytest.FixtureRequest) -> Iterator[Tally]:
    name = request.node.name.removeprefix("test_").replace("_", " ")
    tally = Tally(name)
    yield tally
    if tally.tried:
        row = tally.row(failed=request.node.stash.get(FAILED, False))
        request.node.user_properties.append((TALLY, json.dumps(row)))
        if (file := request.config.getoption("--faults-table")) is not None:
            with file.open("a") as table:
                table.write(json.dumps(row) + "\n")


@pytest.fixture
def times(request: pytest.FixtureRequest) -> Callable[[int, int], int]:
    """How often to try: the first number, or the second, or the part of it that one piece of the long run has."""
    long, pieces = (request.config.getoption(name) for name in ("--long-faults", "--faults-pieces"))
    return lambda short, full: math.ceil(full / pieces) if long else short


@pytest.fixture
def chance(request: pytest.FixtureRequest) -> random.Random:
    """Random numbers, the same in every run; others in each piece of the long run, or given another FAULT_SEED."""
    what = request.node.name.removeprefix("test_").replace("_", " ")
    piece = sum(row["what"] == what for row in kept_rows(request.config))
    return random.Random(f"{os.environ.get('FAULT_SEED', '')}{request.node.name}{piece or ''}")


@contextmanager
def most_memory() -> Iterator[Callable[[], int]]:
    """Tells how many MiB this process held at the most, above what it held before, though it gave them back."""

    def peak() -> int:
        (line,) = [line for line in Path("/proc/self/status").read_text().splitlines() if line.startswith("VmHWM")]
        return int(line.split()[1])

    with suppress(OSError):  # without it, only what is above all that came before is seen
        Path("/proc/self/clear_refs").write_text("5")
    before = peak()
    yield lambda: (peak() - before) >> 10


class Process:
    """A process, though it be nobody's child here."""

    def __init__(self, pid: int) -> None:
        self.pid = pid
        self._handle = os.pidfd_open(pid)

    def __del__(self) -> None:
        os.close(self._handle)

    @property
    def ended(self) -> bool:
        return self._ends_within(0)

    def send_signal(self, number: int) -> None:
        signal.pidfd_send_signal(self._handle, number)

    def kill(self) -> None:
        """End it, and wait until it has."""
        with suppress(ProcessLookupError):
            self.send_signal(signal.SIGKILL)
        assert self._ends_within(30)

    def _ends_within(self, seconds: float) -> bool:
        return bool(select.select([self._handle], [], [], seconds)[0])


class Hatchery:
    """Makes engines: by starting Python, as users do, or by forking a process that has imported everything."""

    def __init__(self, *, forking: bool) -> None:
        self._command = [sys.executable, "-m", "tests.faults.quick_engine"]
        self._forking: subprocess.Popen[str] | None = None
        self._children: list[subprocess.Popen[bytes]] = []
        if forking:
            self._forking = subprocess.Popen(
                [*self._command, "hatch"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
            )

    def engine(self, environment: dict[str, str]) -> Process:
        """A new engine, in this process's environment and `environment`."""
        environment = os.environ | environment
        if self._forking is None:
            self._children.append(subprocess.Popen(self._command, env=environment, stdin=subprocess.DEVNULL))
            return Process(self._children[-1].pid)
        assert self._forking.stdin is not None
        assert self._forking.stdout is not None
        self._forking.stdin.write(json.dumps(environment) + "\n")
        self._forking.stdin.flush()
        return Process(int(self._forking.stdout.readline()))

    def end(self) -> None:
        if self._forking is not None:
            self._forking.communicate(timeout=30)
        for child in self._children:
            child.wait(30)


class QuickEngine:
    """A real engine in a process of its own, whose worker is a real process too, but paints without torch."""

    def __init__(self, paths: Paths, hatchery: Hatchery) -> None:
        self.paths = paths
        self.process: Process | None = None
        self._hatchery = hatchery
        self._clients: list[asyncio.Task[None]] = []

    def start(self, **environment: str) -> float:
        """Start it; the seconds until it listens."""
        begun = time.monotonic()
        self.process = self._hatchery.engine(environment)
        while self.pid is None or not self.is_listening():
            if self.process.ended and "FAULT_FILE" in environment:  # its time had come already
                self.process = self._hatchery.engine(environment)
            assert not self.process.ended, "the engine ended at its start"
            assert time.monotonic() - begun < 60
            time.sleep(0.01)
        return time.monotonic() - begun

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
        if self.process is not None:
            self.kill()


@pytest.fixture(scope="session")
def hatchery(request: pytest.FixtureRequest) -> Iterator[Hatchery]:
    hatchery = Hatchery(forking=not request.config.getoption("--long-faults"))
    yield hatchery
    hatchery.end()


@pytest.fixture
async def quick(home: Paths, hatchery: Hatchery, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[QuickEngine]:
    monkeypatch.setenv("LATENTTY_AUTOLOAD", "false")
    monkeypatch.setattr(client_module, "TRY_AGAIN", 0.02)
    engine = QuickEngine(home, hatchery)
    yield engine
    await engine.stop()
