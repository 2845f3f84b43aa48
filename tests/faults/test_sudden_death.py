"""kill -9 at random moments and at every named place: no accepted job is lost, no picture is made twice."""

import asyncio
import os
import random
import signal
import statistics
from collections import Counter
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import msgspec

from tests.conftest import Attached, make_job, pictures_below
from tests.faults.conftest import QuickEngine, Tally
from tui.library.models import BUNDLED
from tui.library.pictures import read_making
from tui.protocol.commands import GetSnapshot, LoadModel, Retry, SwapMode, UnloadModel
from tui.protocol.events import JobRecord
from tui.protocol.job import Job
from tui.protocol.problem import LatenttyError

PAINTERS_POINTS = (
    "load",
    "encode",
    "step",
    "decode",
    "before write",
    "after write",
    "before fsync",
    "after fsync",
    "before rename",
    "after rename",
    "saved",
)
BETWEEN_JOBS = {
    "swap": lambda number: SwapMode(model=BUNDLED, mode=("img2img", "txt2img")[number % 2]),
    "unload": lambda _: UnloadModel(),
}
"""What a worker dies of that somebody asked for while jobs run, and how it is asked for."""

ENGINES_POINTS = ("before commit", "after commit", "before tell", "after tell")

READY_WITHIN = 2.0
"""Seconds from the death of an engine to the next one's acceptance of a job, on a machine that is not busy."""


async def finish(attached: Attached, jobs: list[Job]) -> int:
    """Wait for the end of every job; those that were set aside by bad luck are tried again. How many are lost."""
    lost = 0
    for job in jobs:
        record = await record_of(attached, job)
        while record.state != "done" and record.state != "cancelled":
            assert record.open or record.attempts == 2, record.problem
            await attached.until(lambda job=job: not attached.snapshot.jobs[job.id].open)
            record = await record_of(attached, job)
        lost += record.state != "done"
    return lost


async def record_of(attached: Attached, job: Job) -> JobRecord:
    """The engine's own record of `job`, which waits again if it had been set aside."""
    record = msgspec.msgpack.decode(await attached.client.request(Retry(job_id=job.id)), type=JobRecord)
    await attached.until(lambda: not record.open or job.id in attached.snapshot.jobs)
    return record


def count_losses(folder: Path, jobs: list[Job]) -> int:
    """Pictures that are missing, doubled or half."""
    files = pictures_below(folder)
    makings = [read_making(path) for path in files]
    found = Counter((making.job.id, making.index) for making in makings if making is not None)
    wanted = Counter((job.id, index) for job in jobs for index in range(job.count))
    return makings.count(None) + (found - wanted).total() + (wanted - found).total()


class Feeding:
    """Submits jobs, keeping a few waiting; each that is acknowledged is in `jobs`."""

    def __init__(self, attached: Attached, chance: random.Random) -> None:
        self._attached = attached
        self._chance = chance
        self._enough = False
        self._task = asyncio.create_task(self._feed())
        self.jobs: list[Job] = []

    async def _feed(self) -> None:
        while not self._enough:
            number = len(self.jobs)
            steps, count = self._chance.randint(1, 6), self._chance.randint(1, 2)
            job = make_job(prompt=f"job {number}", steps=steps, count=count, seed=number)
            await self._attached.client.submit(job)
            self.jobs.append(job)
            await self._attached.until(lambda: len(self._attached.snapshot.waiting) < 4, 1200)  # few get through

    async def end(self) -> list[Job]:
        """Every job that was accepted."""
        self._enough = True
        await self._task
        return self.jobs


async def test_the_worker_dies_at_random_moments(
    quick: QuickEngine, tmp_path: Path, tally: Tally, chance: random.Random, times: Callable[[int, int], int]
) -> None:
    quick.start()
    attached = await quick.attach()
    feeding = Feeding(attached, chance)
    while tally.tried < times(3, 200):
        await attached.until(lambda: quick.worker() is not None and attached.snapshot.engine.worker != "starting")
        await asyncio.sleep(chance.uniform(0, 0.15))
        if (worker := quick.worker()) is not None:
            os.kill(worker, signal.SIGKILL)
            tally.tried += 1
            await attached.until(lambda dead=worker: quick.worker() != dead)
    jobs = await feeding.end()
    tally.lost = await finish(attached, jobs) + count_losses(tmp_path / "pictures", jobs)
    tally.sums["jobs"] = len(jobs)
    assert tally.lost == 0


async def test_the_engine_dies_at_random_moments(
    quick: QuickEngine, tmp_path: Path, tally: Tally, chance: random.Random, times: Callable[[int, int], int]
) -> None:
    quick.start()
    attached = await quick.attach()
    feeding = Feeding(attached, chance)
    ready: list[float] = []
    loop = asyncio.get_running_loop()
    while tally.tried < times(2, 200):
        await asyncio.sleep(chance.uniform(0, 0.4))
        worker = quick.worker()
        quick.kill()
        begun = loop.time()
        tally.tried += 1
        await asyncio.to_thread(quick.start)
        await attached.client.request(GetSnapshot())
        ready.append(loop.time() - begun)
        async with asyncio.timeout(20):  # an orphan would hold the GPU
            while worker is not None and is_alive(worker):
                await asyncio.sleep(0.01)
    jobs = await feeding.end()
    tally.lost = await finish(attached, jobs) + count_losses(tmp_path / "pictures", jobs)
    tally.sums["jobs"] = len(jobs)
    tally.note = f"ready again in {statistics.median(ready):.2f} s" + (
        "" if times(0, 1) else ", Python's start left out"
    )
    tally.most["s until it was"] = max(ready)
    assert tally.lost == 0


def is_alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


async def test_death_at_every_named_place(
    quick: QuickEngine, tmp_path: Path, tally: Tally, chance: random.Random, times: Callable[[int, int], int]
) -> None:
    """Of the worker and of the engine, which is started again as it would be by whoever wants it."""
    jobs: list[Job] = []
    fault = tmp_path / "fault"
    await asyncio.to_thread(quick.start, FAULT_FILE=str(fault))
    restarting = asyncio.create_task(restart(quick, FAULT_FILE=str(fault)))
    attached = await quick.attach()
    places = (*PAINTERS_POINTS, *BETWEEN_JOBS, *ENGINES_POINTS)
    for point in places:
        for number in sorted(chance.sample(range(1, 8), times(1, 5))):
            submitted = [make_job(prompt=f"job {len(jobs) + n}", count=2, seed=len(jobs) + n) for n in range(4)]
            written = fault.with_suffix(".new")
            written.write_text(f"{point}:{number}")
            written.rename(fault)
            for job in submitted:
                await attached.client.submit(job)
            jobs += submitted
            for again in range(number if point in BETWEEN_JOBS else 0):
                with suppress(LatenttyError):  # that the worker died of it
                    await attached.client.request(BETWEEN_JOBS[point](again))
            tally.lost += await finish(attached, submitted)
            assert not fault.exists(), f"nobody passed {point} {number} times"
            tally.tried += 1
    restarting.cancel()
    await asyncio.gather(restarting, return_exceptions=True)
    tally.lost += count_losses(tmp_path / "pictures", jobs)
    tally.sums["jobs"] = len(jobs)
    tally.note = f"{len(places)} places"
    assert tally.lost == 0


async def restart(quick: QuickEngine, **environment: str) -> None:
    """Start the engine again whenever it has died."""
    while True:
        assert quick.process is not None
        if quick.process.ended:
            await asyncio.to_thread(quick.start, **environment)
        await asyncio.sleep(0.01)


async def test_a_poison_job_is_set_aside_after_two_attempts_and_the_rest_goes_on(
    quick: QuickEngine, tmp_path: Path, tally: Tally
) -> None:
    quick.start()
    attached = await quick.attach()
    jobs = [make_job(prompt=prompt) for prompt in ("good", "poison", "good", "poison", "good")]
    for job in jobs:
        await attached.client.submit(job)
    for job in jobs:
        record = await attached.end_of(job)
        if job.prompt == "good":
            tally.lost += record.state != "done"
        else:
            tally.tried += record.attempts
            assert (record.state, record.attempts) == ("failed", 2)
    await attached.client.request(LoadModel(model="emoji-tiny"))
    assert count_losses(tmp_path / "pictures", [job for job in jobs if job.prompt == "good"]) == tally.lost == 0
