"""What every test may use: a home folder of its own, and a real engine in it."""

import asyncio
import os
import signal
from collections.abc import AsyncIterator, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from hypothesis import settings

# before torch is imported, here and by what tests start: threads that wait for each other stall on a busy machine
os.environ["OMP_NUM_THREADS"] = "1"
for size in ("COLUMNS", "LINES"):  # set where tests run in several processes; programs ask their terminal
    os.environ.pop(size, None)

from tests.faults.table import pytest_terminal_summary as pytest_terminal_summary  # where tests are told, not run
from tui.client import EngineClient
from tui.headless.engine_control import is_locked
from tui.library.engine_file import read_engine_file
from tui.library.models import BUNDLED
from tui.library.paths import Paths
from tui.protocol.events import ClientEvent, JobRecord
from tui.protocol.frames import Preview
from tui.protocol.job import Job, new_job_id
from tui.protocol.problem import Problem
from tui.protocol.snapshot import Snapshot

settings.register_profile("patient", deadline=None)  # tests count; on a busy machine any of them may take its time
settings.load_profile("patient")


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--long-faults", action="store_true", help="try every fault as often as the promises are worth")
    parser.addoption("--faults-pieces", type=int, default=1, help="do one of so many pieces of the long run")
    parser.addoption("--faults-table", type=Path, help="the file to which each piece adds its rows of the table")
    parser.addoption("--rewrite-shown", action="store_true", help="keep what the screens look like now")


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> object:
    """With `-n`: which process runs which tests."""
    from tests.dealing import ByFile

    return ByFile(config, log)


def make_job(**changes: object) -> Job:
    """A small job on the bundled model."""
    fields = {
        "id": new_job_id(),
        "model": BUNDLED,
        "prompt": "a red apple",
        "width": 64,
        "height": 64,
        "steps": 2,
        "guidance_scale": 5.0,
        "scheduler": "dpmpp-2m",
        "seed": 7,
        "count": 1,
    }
    return Job(**(fields | changes))


class Watching:
    """A client's watcher that remembers everything."""

    def __init__(self) -> None:
        self.events: list[ClientEvent] = []
        self.previews: list[Preview] = []
        self.attached = 0
        self.detached: list[Problem | None] = []
        self.silent: list[Problem | None] = []
        self.changed = asyncio.Event()

    def engine_attached(self, snapshot: Snapshot) -> None:
        self.attached += 1
        self.changed.set()

    def engine_event(self, event: ClientEvent) -> None:
        self.events.append(event)
        self.changed.set()

    def engine_preview(self, preview: Preview) -> None:
        self.previews.append(preview)

    def engine_detached(self, problem: Problem | None) -> None:
        self.detached.append(problem)
        self.changed.set()

    def engine_silent(self, problem: Problem | None) -> None:
        self.silent.append(problem)
        self.changed.set()


class Attached:
    """A client of a real engine, with the waits that tests need."""

    def __init__(self, paths: Paths) -> None:
        self.paths = paths
        self.watching = Watching()
        self.client = EngineClient(paths, self.watching)

    @property
    def snapshot(self) -> Snapshot:
        assert self.client.snapshot is not None
        return self.client.snapshot

    @property
    def engine_pid(self) -> int:
        found = read_engine_file(self.paths.lock_file)
        assert found is not None
        return found.pid

    async def until(self, true: object, seconds: float = 90) -> None:
        """Wait until `true()` is; look again at every event."""
        async with asyncio.timeout(seconds):
            while not true():  # type: ignore[operator]
                self.watching.changed.clear()
                await self.watching.changed.wait()

    async def end_of(self, job: Job, seconds: float = 90) -> JobRecord:
        """The record of `job` once it has ended."""
        await self.until(lambda: job.id in self.snapshot.jobs and not self.snapshot.jobs[job.id].open, seconds)
        return self.snapshot.jobs[job.id]

    async def running(self, job: Job) -> None:
        """Wait until `job` has taken its first step."""
        await self.until(lambda: (step := self.snapshot.step) is not None and step.job_id == job.id and step.step > 0)


def make_home(folder: Path, monkeypatch: pytest.MonkeyPatch) -> Paths:
    """Let everything of the user's lie in `folder`."""
    for name, place in {
        "HOME": "home",
        "XDG_CONFIG_HOME": "config",
        "XDG_STATE_HOME": "state",
        "XDG_CACHE_HOME": "cache",
        "XDG_RUNTIME_DIR": "run",
    }.items():
        (folder / place).mkdir(mode=0o700)
        monkeypatch.setenv(name, str(folder / place))
    monkeypatch.setenv("LATENTTY_OUTPUT_FOLDER", str(folder / "pictures"))
    paths = Paths.of_user()
    paths.cache.mkdir(mode=0o700)
    (paths.cache / "toured").touch(0o600)  # no first run, unless a test wants one
    return paths


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Paths]:
    """A home folder of the test's own; an engine that the test started is ended with it."""
    paths = make_home(tmp_path, monkeypatch)
    yield paths
    end_engine(paths)


def end_engine(paths: Paths) -> None:
    """Kill the engine of `paths`, if one runs or starts; its worker ends with it."""
    told = read_engine_file(paths.lock_file)
    if told is not None and is_locked(paths):
        os.kill(told.pid, signal.SIGKILL)
    mine = f"XDG_STATE_HOME={paths.state.parents[1]}".encode()
    for process in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):  # it has ended, or is another user's
            starts = b"engine\0run" in (process / "cmdline").read_bytes()  # and has not said so in its file yet
            if starts and mine in (process / "environ").read_bytes().split(b"\0"):
                os.kill(int(process.name), signal.SIGKILL)


@pytest.fixture
async def attached(home: Paths) -> AsyncIterator[Attached]:
    """A client attached to a real engine."""
    attached = Attached(home)
    staying = asyncio.create_task(attached.client.run())
    await attached.until(lambda: attached.client.snapshot is not None)
    yield attached
    staying.cancel()


def pictures_below(folder: Path) -> list[Path]:
    """Every file below `folder`, hidden ones too."""
    return sorted(path for path in folder.rglob("*") if path.is_file())
