"""A device call that never returns, and a device that answers no more: told, ended, and the queue goes on."""

import asyncio
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.conftest import Attached, make_job
from tests.faults.conftest import QuickEngine, Tally
from tui.protocol import events
from tui.protocol.commands import Cancel, GetSnapshot
from tui.protocol.job import Job

HANGS = ("hang with the interpreter's lock", "stand still")


async def started(attached: Attached, job: Job) -> None:
    await attached.until(lambda: (record := attached.snapshot.jobs.get(job.id)) is not None and record.attempts > 0)


@pytest.mark.parametrize("how", HANGS)
async def test_a_hung_device_call_is_told_and_a_cancel_ends_its_worker(
    how: str, quick: QuickEngine, tally: Tally
) -> None:
    quick.start(LATENTTY_ENGINE_REPORT_STALL_AFTER="0.006")
    attached = await quick.attach()
    hung, good = make_job(prompt=how), make_job(prompt="good")
    for job in (hung, good):
        await attached.client.submit(job)
    await attached.until(lambda: attached.snapshot.engine.stall is not None)
    stall = attached.snapshot.engine.stall
    assert stall is not None
    assert (stall.code, "Cancel" in stall.hint) == ("worker_hung", True)
    await attached.until(lambda: any(isinstance(event, events.Warning) for event in attached.watching.events))
    answers = [await asyncio.wait_for(attached.client.request(GetSnapshot()), 5) for _ in range(20)]
    assert len(answers) == 20, "the engine answers all the while"
    await attached.client.request(Cancel(job_id=hung.id))
    tally.tried = 1
    assert (await attached.end_of(hung)).state == "cancelled"
    assert (await attached.end_of(good)).state == "done"
    assert attached.snapshot.engine.stall is None


async def test_a_worker_that_hangs_for_too_long_is_ended_without_anyone_asking(
    quick: QuickEngine, tally: Tally
) -> None:
    quick.start(LATENTTY_ENGINE_REPORT_STALL_AFTER="0.006", LATENTTY_ENGINE_END_STALLED_AFTER="0.012")
    attached = await quick.attach()
    hung, good = make_job(prompt="hang"), make_job(prompt="good")
    for job in (hung, good):
        await attached.client.submit(job)
    record = await attached.end_of(hung)
    tally.tried = record.attempts
    assert (record.state, record.attempts) == ("failed", 2)
    assert record.problem is not None
    assert record.problem.code == "worker_hung"
    assert (await attached.end_of(good)).state == "done"


async def test_a_lost_device_ends_its_worker_and_the_job_runs_on_a_new_one(
    quick: QuickEngine, tally: Tally, tmp_path: Path, times: Callable[[int, int], int]
) -> None:
    quick.start(FAULT_MARKER=str(tmp_path / "broken"))
    attached = await quick.attach()
    for how in ["breaks", "breaks without a code", "crashes"] * times(1, 20):
        (tmp_path / "broken").unlink(missing_ok=True)
        once, good = make_job(prompt=f"the device {how}"), make_job(prompt="good")
        for job in (once, good):
            await attached.client.submit(job)
        tally.tried += 1
        for job in (once, good):
            tally.lost += (await attached.end_of(job)).state != "done"
        told = [event.problem for event in attached.watching.events if isinstance(event, events.JobInterrupted)]
        assert told[-1].code == "device_lost"
        assert "device-side assert" in told[-1].cause
    always = make_job(prompt="the device breaks always")
    await attached.client.submit(always)
    record = await attached.end_of(always)
    assert (record.state, record.attempts) == ("failed", 2)
    assert tally.lost == 0
