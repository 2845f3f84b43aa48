"""In which order jobs run: as submitted, as moved, and sooner when their model is on the device."""

import asyncio
from pathlib import Path

import msgspec

from tests.conftest import make_job
from tests.engine.conftest import Running
from tui.engine.database import Database
from tui.engine.queue import MAX_OVERTAKEN, Queue
from tui.protocol.commands import CancelAll, Pause, Reorder, Resume, Retry


async def opened(path: Path) -> tuple[Database, Queue]:
    database = Database(path)
    await database.open()
    return database, Queue(database)


async def test_a_warm_model_goes_first_but_nobody_waits_for_ever(tmp_path: Path) -> None:
    database, queue = await opened(tmp_path / "q.db")
    await queue.submit(make_job(model="cold", prompt="first"))
    for number in range(MAX_OVERTAKEN + 2):
        await queue.submit(make_job(model="warm", prompt=str(number)))
    order = []
    while (record := await queue.claim({"warm"})) is not None:
        following = await queue.next({"warm"})
        order.append(record.job.prompt)
        assert following is None or following.job.prompt not in order
        if record.job.prompt == "0":
            assert record.notes == ["Taken before an older job: its model is warm."]
    assert order.index("first") == MAX_OVERTAKEN
    assert order[MAX_OVERTAKEN + 1 :] == ["8", "9"]
    database.close()


async def test_what_the_user_moved_is_not_overtaken(tmp_path: Path) -> None:
    database, queue = await opened(tmp_path / "q.db")
    jobs = [make_job(model=model, prompt=model) for model in ("warm", "cold", "colder")]
    for job in jobs:
        await queue.submit(job)
    await queue.reorder(jobs[2].id, before=jobs[0].id)
    taken = [await queue.claim({"warm"}) for _ in jobs]
    assert [record.job.prompt for record in taken if record is not None] == ["colder", "warm", "cold"]
    database.close()


async def test_every_client_sees_the_order_in_which_jobs_run(running: Running) -> None:
    running.script.gate = asyncio.Event()
    attached = await running.attach()
    jobs = [make_job(prompt=name) for name in "abcd"]
    for job in jobs:
        await attached.client.submit(job)
    await attached.running(jobs[0])
    await attached.client.request(Reorder(job_id=jobs[3].id, before=jobs[1].id))
    await attached.client.request(Reorder(job_id=jobs[1].id))
    assert [record.job.prompt for record in attached.snapshot.waiting] == ["d", "c", "b"]
    assert (await running.attach()).snapshot.waiting == attached.snapshot.waiting
    running.script.gate.set()
    await attached.end_of(jobs[1])
    assert running.script.ran == ["a", "d", "c", "b"]


async def test_a_pause_outlives_the_engine_and_all_can_be_cancelled_and_taken_back(running: Running) -> None:
    attached = await running.attach()
    await attached.client.request(Pause())
    jobs = [make_job(prompt=name) for name in "ab"]
    for job in jobs:
        await attached.client.submit(job)
    await running.stop()
    await running.start()
    attached = await running.attach()
    assert attached.snapshot.engine.paused
    assert len(attached.snapshot.waiting) == 2

    ids = msgspec.msgpack.decode(await attached.client.request(CancelAll()), type=list[str])
    assert ids == [job.id for job in jobs]
    assert not attached.snapshot.waiting
    for job_id in ids:
        await attached.client.request(Retry(job_id=job_id))
    await attached.client.request(Resume())
    for job in jobs:
        assert (await attached.end_of(job)).state == "done"
    assert running.script.ran == ["a", "b"]


async def test_cancelling_all_ends_the_running_job_too(running: Running) -> None:
    running.script.gate = asyncio.Event()
    attached = await running.attach()
    jobs = [make_job(prompt=name) for name in "ab"]
    for job in jobs:
        await attached.client.submit(job)
    await attached.running(jobs[0])
    ids = msgspec.msgpack.decode(await attached.client.request(CancelAll()), type=list[str])
    assert ids == [job.id for job in jobs]
    assert [(await attached.end_of(job)).state for job in jobs] == ["cancelled", "cancelled"]
