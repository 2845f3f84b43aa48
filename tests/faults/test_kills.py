"""kill -9 of a worker that draws: every accepted job's picture exists at the end, and none twice. The long run only."""

import asyncio
import os
import random
import resource
import signal
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.conftest import Attached, make_job
from tests.faults.conftest import Tally
from tests.faults.test_sudden_death import Feeding, count_losses, finish
from tui.protocol.events import JobStarted


def worker_of(engine_pid: int) -> int:
    """The process id of the engine's only child."""
    children = Path(f"/proc/{engine_pid}/task/{engine_pid}/children").read_text().split()
    return int(children[0])


@pytest.fixture(autouse=True)
def long_only(times: Callable[[int, int], int]) -> None:
    """The short run has the same with a painter for a pipeline, in test_sudden_death.py; and one death of a worker that
    draws, and of its engine, in tests/headless/test_generate.py."""
    if not times(0, 1):
        pytest.skip("the long run only")


async def test_a_job_that_kills_its_worker_each_time_is_set_aside_and_the_next_one_runs(
    attached: Attached,
) -> None:
    poison, good = make_job(steps=400, prompt="poison"), make_job(prompt="good")
    await attached.client.submit(poison)
    await attached.client.submit(good)
    for _ in range(2):
        attached.watching.events.clear()
        await attached.until(
            lambda: any(
                isinstance(event, JobStarted) and event.record.job == poison for event in attached.watching.events
            )
        )
        await attached.running(poison)
        os.kill(worker_of(attached.engine_pid), signal.SIGKILL)
    record = await attached.end_of(poison)
    assert (record.state, record.attempts) == ("failed", 2)
    assert record.problem is not None
    assert "signal 9" in record.problem.cause
    assert (await attached.end_of(good)).state == "done"


async def test_a_real_worker_dies_at_random_moments(
    attached: Attached, tmp_path: Path, tally: Tally, chance: random.Random, times: Callable[[int, int], int]
) -> None:
    feeding = Feeding(attached, chance)
    while tally.tried < times(0, 200):
        await attached.until(lambda: attached.snapshot.engine.worker in ("idle", "loading", "running"))
        await asyncio.sleep(chance.uniform(0, 2.5))
        pid = attached.engine_pid
        if Path(f"/proc/{pid}/task/{pid}/children").read_text():
            os.kill(worker_of(pid), signal.SIGKILL)
            tally.tried += 1
            await attached.until(lambda: attached.snapshot.engine.worker in ("absent", "starting"))
    jobs = await feeding.end()
    tally.lost = await finish(attached, jobs) + count_losses(tmp_path / "pictures", jobs)
    tally.sums["jobs"] = len(jobs)
    assert tally.lost == 0


async def test_a_worker_that_gets_no_more_memory_fails_one_job_and_draws_the_next(
    attached: Attached, tally: Tally, times: Callable[[int, int], int]
) -> None:
    small = make_job()
    await attached.client.submit(small)
    assert (await attached.end_of(small)).state == "done"
    worker = worker_of(attached.engine_pid)
    for _ in range(times(0, 3)):
        mapped = int(Path(f"/proc/{worker}/statm").read_text().split()[0]) * os.sysconf("SC_PAGE_SIZE")
        resource.prlimit(worker, resource.RLIMIT_AS, (mapped + (192 << 20), resource.RLIM_INFINITY))
        large = make_job(width=2048, height=2048, steps=1)
        await attached.client.submit(large)
        record = await attached.end_of(large, 250)
        tally.tried += 1
        assert record.state == "failed"
        assert record.problem is not None
        assert record.problem.code == "out_of_memory"
        assert record.notes, "what was tried is told"
        resource.prlimit(worker, resource.RLIMIT_AS, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
        small = make_job()
        await attached.client.submit(small)
        tally.lost += (await attached.end_of(small)).state != "done"
    assert worker_of(attached.engine_pid) == worker, "the same process all the while"
    assert tally.lost == 0
