"""The queue's file: what a newer version or an accident left in it is refused, not guessed at."""

import os
import sqlite3
from pathlib import Path

import pytest

from tests.conftest import make_job
from tests.engine.conftest import Running
from tui.engine.database import Database
from tui.engine.queue import Queue
from tui.library.paths import Paths
from tui.protocol.problem import LatenttyError, Problem

PROBLEM = Problem(code="worker_died", cause="It died.")


async def open_queue(path: Path) -> tuple[Database, Queue]:
    database = Database(path)
    await database.open()
    return database, Queue(database)


async def test_jobs_outlive_the_process(tmp_path: Path) -> None:
    database, queue = await open_queue(tmp_path / "q.db")
    jobs = [make_job(prompt=str(number)) for number in range(3)]
    for job in jobs:
        await queue.submit(job)
    database.close()
    database, queue = await open_queue(tmp_path / "q.db")
    assert [record.job for record in await queue.open_and_recent(5)] == jobs
    database.close()


async def test_a_job_that_was_running_when_the_engine_died_runs_once_more_and_first(tmp_path: Path) -> None:
    database, queue = await open_queue(tmp_path / "q.db")
    first, second = make_job(), make_job()
    for job in (first, second):
        await queue.submit(job)
    for state in ("interrupted", "failed"):
        claimed = await queue.claim()
        assert claimed is not None
        assert claimed.job == first
        await queue.recover(PROBLEM)
        assert (await queue.get(first.id)).state == state
    following = await queue.claim()
    assert following is not None
    assert following.job == second
    database.close()


async def test_a_transaction_that_fails_leaves_nothing(tmp_path: Path) -> None:
    database, queue = await open_queue(tmp_path / "q.db")
    await queue.submit(make_job())

    def half(connection: sqlite3.Connection) -> None:
        connection.execute("DELETE FROM job")
        raise RuntimeError("in the middle")

    with pytest.raises(RuntimeError):
        await database.run(half)
    assert len(await queue.open_and_recent(5)) == 1
    database.close()


async def test_a_newer_versions_file_is_refused_and_kept(tmp_path: Path) -> None:
    path = tmp_path / "q.db"
    with sqlite3.connect(path) as connection:
        connection.execute("PRAGMA user_version = 99")
    connection.close()
    before = path.read_bytes()
    with pytest.raises(LatenttyError, match="newer version"):
        await open_queue(path)
    assert path.read_bytes()[100:] == before[100:]


async def test_a_damaged_file_is_refused_with_what_to_do(tmp_path: Path) -> None:
    path = tmp_path / "q.db"
    path.write_bytes(b"no database at all" * 100)
    with pytest.raises(LatenttyError, match="Move the file away"):
        await open_queue(path)


async def test_a_damaged_page_is_told_with_what_to_do(home: Paths) -> None:
    running = Running(home)
    await running.start()
    await running.stop()
    data = bytearray(home.database_file.read_bytes())
    data[4096:] = os.urandom(len(data) - 4096)
    home.database_file.write_bytes(data)
    with pytest.raises(LatenttyError, match="Move the file away"):
        await Running(home).start()


def test_a_full_disk_or_a_file_in_use_is_no_reason_to_begin_with_an_empty_queue(tmp_path: Path) -> None:
    for code, told in ((sqlite3.SQLITE_FULL, "Free some space"), (sqlite3.SQLITE_BUSY, "whatever else has it open")):
        error = sqlite3.OperationalError("no")
        error.sqlite_errorcode = code
        assert told in Database(tmp_path / "q.db").problem(error).hint


async def test_the_file_is_its_owners_alone(tmp_path: Path) -> None:
    database, _ = await open_queue(tmp_path / "q.db")
    assert (tmp_path / "q.db").stat().st_mode & 0o777 == 0o600
    database.close()
