"""Full, read-only, vanished and slow disks, jumping clocks, no descriptors, no time: told, nothing lost, and over."""

import asyncio
import os
import random
import shutil
import signal
import sqlite3
import subprocess
import threading
import time
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest

from tests.conftest import Attached, make_job
from tests.engine.conftest import Running
from tests.faults.conftest import QuickEngine, Tally
from tests.faults.sqlite_files import FULL, IO_ERROR_IN_SYNC, Operation, SqliteFiles, library
from tests.faults.test_hostile_clients import socket_of
from tests.faults.test_sudden_death import count_losses
from tui import client as client_module
from tui.engine import pool
from tui.engine.database import Database
from tui.engine.listener import RESERVED
from tui.library.paths import Paths
from tui.protocol.commands import GetSnapshot, Pause, Resume
from tui.protocol.job import Job
from tui.protocol.problem import LatenttyError

watched = pytest.mark.skipif(library() is None, reason="this Python's SQLite cannot be watched")
by_root = pytest.mark.skipif(os.getuid() != 0, reason="only root can mount")


@pytest.fixture
async def engine(home: Paths, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[tuple[Running, SqliteFiles]]:
    """An engine in this process, whose writes to its database this test sees and hinders."""
    monkeypatch.setenv("LATENTTY_AUTOLOAD", "false")
    monkeypatch.setattr(pool, "LOOK_AGAIN", 0.02)
    with SqliteFiles() as files:
        running = Running(home)
        await running.start()
        yield running, files
        files.fail = lambda _: 0
        await running.stop()


@watched
async def test_the_queue_cannot_be_written_now_and_then(
    engine: tuple[Running, SqliteFiles], tally: Tally, chance: random.Random, times: Callable[[int, int], int]
) -> None:
    running, files = engine
    attached = await running.attach()
    wait, failures = 0, 0

    def fail(operation: Operation) -> int:
        nonlocal wait, failures
        wait -= 1
        if wait >= 0 or failures <= 0:
            return 0
        failures -= 1
        tally.tried += 1
        return IO_ERROR_IN_SYNC if operation.kind == "sync" else FULL

    files.fail = fail
    accepted: list[Job] = []
    refused: list[Job] = []
    codes: set[str] = set()
    for number in range(times(12, 1000)):
        wait, failures = chance.randint(0, 40), chance.randint(1, 12)
        job = make_job(prompt=str(number), count=chance.randint(1, 3))
        try:
            await attached.client.submit(job)
            accepted.append(job)
        except LatenttyError as error:
            refused.append(job)
            codes.add(error.problem.code)
        await attached.until(lambda: len(attached.snapshot.waiting) < 5)
    failures = 0
    for job in accepted:
        if job.id in attached.snapshot.jobs:
            tally.lost += (await attached.end_of(job)).state != "done"
        tally.lost += len(await attached.client.pictures(job.id)) != job.count
    for job in refused:
        tally.lost += await attached.client.pictures(job.id) != []
    tally.note = f"{len(accepted)} jobs accepted, {len(refused)} refused"
    assert codes == {"disk_full"}
    assert tally.lost == 0
    assert attached.snapshot.engine.hold is None


@watched
async def test_a_disk_that_takes_its_time_delays_no_other_client(
    engine: tuple[Running, SqliteFiles], tally: Tally
) -> None:
    running, files = engine
    one, other = await running.attach(), await running.attach()
    goes_on = threading.Event()
    begun = threading.Event()

    def slow(operation: Operation) -> int:
        if operation.kind == "sync":
            begun.set()
            goes_on.wait(30)
        return 0

    files.fail = slow
    job = make_job()
    submitting = asyncio.create_task(one.client.submit(job))
    await asyncio.to_thread(begun.wait, 10)
    for _ in range(50):
        await asyncio.wait_for(other.client.request(GetSnapshot()), 5)
        tally.tried += 1
    assert not submitting.done(), "a job is acknowledged when it is on the disk, not before"
    goes_on.set()
    await submitting
    assert (await one.end_of(job)).state == "done"


async def test_a_clock_that_jumps_changes_no_order(
    engine: tuple[Running, SqliteFiles],
    tally: Tally,
    chance: random.Random,
    times: Callable[[int, int], int],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    running, _ = engine
    attached = await running.attach()
    real = time.time
    jump = 0.0
    monkeypatch.setattr(time, "time", lambda: max(real() + jump, 0.0))
    jobs = [make_job(prompt=str(number)) for number in range(times(30, 500))]
    for job in jobs:
        jump = chance.choice([0.0, -3e9, -86400.0, 3600.0, 4e9, chance.uniform(-1e9, 1e9)])
        await attached.client.submit(job)
        tally.tried += 1
        await attached.until(lambda: len(attached.snapshot.waiting) < 10)
    for job in jobs[-10:]:
        assert (await attached.end_of(job)).state == "done"
    tally.lost = sum([len(await attached.client.pictures(job.id)) != 1 for job in jobs])
    assert running.script.ran == [job.prompt for job in jobs]
    assert tally.lost == 0


@contextmanager
def small_disk(folder: Path, size: str) -> Iterator[Callable[[str], None]]:
    """A disk of its own at `folder`; what is given is a function that mounts it again with other options."""
    folder.mkdir(parents=True, exist_ok=True)
    if subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={size}", "none", str(folder)]).returncode:
        pytest.skip("mounting is not allowed here")
    try:
        yield lambda options: subprocess.run(["mount", "-o", f"remount,{options}", str(folder)], check=True) and None
    finally:
        subprocess.run(["umount", "-l", str(folder)], check=True)


def fill(folder: Path) -> None:
    """Leave no byte free on the disk of `folder`."""
    with (folder / "filler").open("wb", buffering=0) as filler, suppress(OSError):
        for size in (1 << 20, 4096):
            with suppress(OSError):
                while filler.write(bytes(size)):
                    continue


async def end_all(attached: Attached, jobs: list[Job]) -> int:
    return sum([(await attached.end_of(job)).state != "done" for job in jobs])


@by_root
async def test_the_disk_for_pictures_is_full_or_read_only_in_the_middle_of_a_job(
    quick: QuickEngine, tally: Tally, chance: random.Random, tmp_path: Path, times: Callable[[int, int], int]
) -> None:
    folder = tmp_path / "pictures"
    with small_disk(folder, "80m") as remount:
        quick.start()
        attached = await quick.attach()
        fill(folder)
        jobs = [make_job(prompt="before there is room")]
        await attached.client.submit(jobs[0])
        await attached.until(lambda: attached.snapshot.engine.hold is not None)
        assert attached.snapshot.engine.hold is not None
        assert attached.snapshot.engine.hold.code == "disk_full"
        assert "has less than 64 MiB left" in attached.snapshot.engine.hold.cause
        assert attached.snapshot.jobs[jobs[0].id].state == "waiting", "what was accepted waits"
        (folder / "filler").unlink()
        for round_ in range(times(2, 40)):
            job = make_job(prompt=f"{round_}", count=times(12, 24), steps=10, seed=round_ * 100)
            await attached.client.submit(job)
            jobs.append(job)
            wanted = chance.randint(0, times(6, 15))
            await attached.until(
                lambda job=job, wanted=wanted: (
                    attached.snapshot.jobs[job.id].saved >= wanted and attached.snapshot.jobs[job.id].state == "running"
                )
            )
            tally.tried += 1
            if round_ % 2:
                fill(folder)
            else:
                await attached.until(lambda: can(remount, "ro"))
            await attached.until(lambda: attached.snapshot.engine.hold is not None)
            hold = attached.snapshot.engine.hold
            assert hold is not None
            assert hold.code == ("disk_full" if round_ % 2 else "output_unwritable")
            assert ("disk" if round_ % 2 else "Read-only") in hold.cause
            await attached.until(lambda job=job: attached.snapshot.jobs[job.id].state == "interrupted")
            remount("rw")
            (folder / "filler").unlink(missing_ok=True)
            await attached.until(lambda: attached.snapshot.engine.hold is None)
        tally.lost = await end_all(attached, jobs[-20:]) + count_losses(folder, jobs)
        assert all(attached.snapshot.jobs[job.id].attempts <= 2 for job in jobs[-20:])
    assert tally.lost == 0


def can(remount: Callable[[str], None], options: str) -> bool:
    """Whether the disk could be mounted with `options`; read-only is refused while a file on it is being written."""
    try:
        remount(options)
    except subprocess.CalledProcessError:
        return False
    return True


async def test_the_folder_for_pictures_is_removed_in_the_middle_of_a_job(
    quick: QuickEngine, tally: Tally, tmp_path: Path, times: Callable[[int, int], int]
) -> None:
    quick.start()
    attached = await quick.attach()
    for number in range(times(3, 100)):
        job = make_job(prompt=str(number), count=6)
        await attached.client.submit(job)
        await attached.until(lambda job=job: attached.snapshot.jobs[job.id].saved >= 2)
        shutil.rmtree(tmp_path / "pictures", ignore_errors=True)
        tally.tried += 1
        tally.lost += (await attached.end_of(job)).state != "done"
    assert tally.lost == 0


async def test_the_folder_of_the_queue_is_removed_and_the_engine_dies_after_the_next_job(
    quick: QuickEngine, tally: Tally, tmp_path: Path, times: Callable[[int, int], int]
) -> None:
    """The queue is written anew before another job is acknowledged, and what is still open of it is not lost."""
    state = quick.paths.state
    jobs: list[Job] = []
    for number in range(times(1, 40)):
        await asyncio.to_thread(quick.start)
        attached = await quick.attach()
        await attached.client.request(Pause())
        before, after = (make_job(prompt=f"{when} {number}", seed=2 * number) for when in ("before", "after"))
        await attached.client.submit(before)
        shutil.rmtree(state)
        if number % 2 == 0:
            state.write_text("in the way")
            with pytest.raises(LatenttyError, match="cannot be written"):
                await attached.client.submit(after)
            state.unlink()
        await attached.client.submit(after)
        jobs += [before, after]
        quick.kill()
        assert quick.paths.database_file.stat().st_mode & 0o077 == 0
        await asyncio.to_thread(quick.start)
        attached = await quick.attach()
        await attached.client.request(Resume())
        tally.tried += 1
        tally.lost += await end_all(attached, [before, after])
        shutil.rmtree(state)
        async with asyncio.timeout(20):
            while not quick.is_listening():
                await asyncio.sleep(0.02)
        quick.kill()
    tally.lost += count_losses(tmp_path / "pictures", jobs)
    assert tally.lost == 0


@by_root
async def test_the_disk_of_the_queue_is_full(quick: QuickEngine, tally: Tally, tmp_path: Path) -> None:
    state = quick.paths.state
    with small_disk(state, "4m"):
        quick.start()
        attached = await quick.attach()
        first = make_job()
        await attached.client.submit(first)
        await attached.end_of(first)
        fill(state)
        accepted, code = [first], ""
        for number in range(12):
            job = make_job(prompt="x" * 15_000 + str(number))
            tally.tried += 1
            try:
                await attached.client.submit(job)
                accepted.append(job)
            except LatenttyError as error:
                code = error.problem.code
                break
        assert code == "disk_full"
        (state / "filler").unlink()
        last = make_job()
        await attached.client.submit(last)
        tally.lost = await end_all(attached, [*accepted, last]) + count_losses(tmp_path / "pictures", [*accepted, last])
        await quick.stop()
    assert tally.lost == 0


async def test_a_crowd_takes_every_descriptor_it_can_get(
    quick: QuickEngine, tally: Tally, times: Callable[[int, int], int]
) -> None:
    quick.start(DESCRIPTORS=str(RESERVED + 20))
    attached = await quick.attach()
    path = socket_of(quick.paths)
    for _ in range(times(2, 20)):
        crowd = [await asyncio.open_unix_connection(path) for _ in range(150)]
        tally.tried += len(crowd)
        job = make_job()
        await attached.client.submit(job)
        tally.lost += (await attached.end_of(job)).state != "done"
        for _, writer in crowd:
            writer.transport.abort()
    assert attached.watching.attached == 1, "its client was never let go"
    late = await quick.attach()
    assert late.snapshot.jobs[job.id].state == "done"
    assert tally.lost == 0


@contextmanager
def memory_limit(size: int) -> Iterator[Path]:
    """A control group with that much memory; what is given is the file that takes the processes in it."""
    old, new = Path("/sys/fs/cgroup/memory"), Path("/sys/fs/cgroup")
    group = (old if old.is_dir() else new) / f"latentty-{os.getpid()}"
    limit = "memory.limit_in_bytes" if old.is_dir() else "memory.max"
    try:
        group.mkdir()
        (group / limit).write_text(str(size))
    except OSError as error:
        with suppress(OSError):
            group.rmdir()
        pytest.skip(f"no control group can be made here ({error.strerror})")
    try:
        yield group / "cgroup.procs"
    finally:
        for pid in (group / "cgroup.procs").read_text().split():
            (group.parent / "cgroup.procs").write_text(pid)
        group.rmdir()


@by_root
async def test_a_job_that_takes_more_memory_than_there_is_for_all_ends_its_worker_alone(
    quick: QuickEngine, tally: Tally, tmp_path: Path, times: Callable[[int, int], int]
) -> None:
    """As in a container, whose limit holds for the engine and the worker together."""
    quick.start()
    attached = await quick.attach()
    assert quick.process is not None
    with memory_limit(320 << 20) as members:
        members.write_text(str(quick.process.pid))
        jobs: list[Job] = []
        for number in range(times(1, 20)):
            hungry, good = make_job(prompt="more and more memory"), make_job(prompt="good", seed=number)
            for job in (hungry, good):
                await attached.client.submit(job)
            record = await attached.end_of(hungry)
            assert (record.state, record.attempts) == ("failed", 2)
            assert record.problem is not None
            assert "signal 9" in record.problem.cause
            tally.tried += record.attempts
            tally.lost += (await attached.end_of(good)).state != "done"
            jobs.append(good)
        await quick.stop()
    tally.lost += count_losses(tmp_path / "pictures", jobs)
    assert attached.watching.attached == 1, "the engine was there all the while"
    assert tally.lost == 0


async def test_an_engine_that_gets_no_time_goes_on_where_it_was(
    quick: QuickEngine,
    tally: Tally,
    tmp_path: Path,
    times: Callable[[int, int], int],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Its clients are told that it does not answer, and what they ask for waits."""
    monkeypatch.setattr(client_module, "BEAT", 0.1)
    quick.start(LATENTTY_ENGINE_REPORT_STALL_AFTER="0.006", LATENTTY_ENGINE_END_STALLED_AFTER="0.012")
    attached = await quick.attach()
    jobs = [make_job(prompt=str(number), steps=40, count=3, seed=number * 10) for number in range(times(2, 4))]
    for job in jobs:
        await attached.client.submit(job)
    assert quick.process is not None
    for _ in range(times(1, 10)):
        await attached.running(next(job for job in jobs if attached.snapshot.jobs[job.id].open))
        worker = quick.worker()
        quick.process.send_signal(signal.SIGSTOP)
        tally.tried += 1
        jobs.append(make_job(prompt="asked for meanwhile", seed=7 + len(jobs) * 10))
        submitting = asyncio.create_task(attached.client.submit(jobs[-1]))
        await asyncio.sleep(1.2)  # longer than what it grants a worker; the test is that it does not count
        assert attached.client.is_silent
        assert attached.watching.silent[-1] == client_module.SILENT
        quick.process.send_signal(signal.SIGCONT)
        await submitting
        await attached.until(lambda: attached.watching.silent[-1] is None)
        await asyncio.wait_for(attached.client.request(GetSnapshot()), 20)
        assert quick.worker() == worker, "it does not take its own standstill for the worker's"
    tally.lost = await end_all(attached, jobs) + count_losses(tmp_path / "pictures", jobs)
    assert attached.watching.attached == 1
    assert tally.lost == 0


def test_a_transaction_that_cannot_be_committed_leaves_the_next_one_free(tally: Tally, tmp_path: Path) -> None:
    async def check() -> None:
        database = Database(tmp_path / "x.db")
        await database.open()

        def both(connection: sqlite3.Connection) -> None:
            connection.execute("COMMIT")  # as when SQLite itself has ended it

        for _ in range(3):
            tally.tried += 1
            with pytest.raises(sqlite3.OperationalError):
                await database.run(both)
            await database.run(lambda connection: connection.execute("SELECT 1").fetchall())
        database.close()

    asyncio.run(check())
