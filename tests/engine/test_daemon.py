"""The engine over its real socket: what it accepts, what it tells, how it starts and ends."""

import asyncio
import os
import socket
import stat
import time
from collections.abc import Collection

import msgspec
import pytest

from tests.conftest import Watching, make_job
from tests.engine.conftest import Running
from tui import client as client_module
from tui.client import EngineAbsent, EngineClient, attach
from tui.engine import daemon, listener, pool
from tui.engine.queue import Queue
from tui.library.engine_file import read_engine_file
from tui.library.paths import Paths
from tui.protocol import PROTOCOL_VERSION, events
from tui.protocol.commands import Cancel, GetSnapshot, Pause, Resume, Retry, Shutdown
from tui.protocol.frames import MAX_REQUEST, Hello, encode, engine_frames, read_frame
from tui.protocol.problem import LatenttyError, Problem
from tui.protocol.snapshot import Snapshot


def hello(**changes: object) -> Hello:
    return Hello(**({"protocol": PROTOCOL_VERSION, "version": "test"} | changes))


async def test_a_job_is_on_the_disk_when_it_is_acknowledged(running: Running) -> None:
    running.script.gate = asyncio.Event()
    attached = await running.attach()
    job = make_job()
    await attached.client.submit(job)
    rows = msgspec.msgpack.decode(await attached.client.request(GetSnapshot()), type=Snapshot)
    assert rows.jobs[job.id].job == job
    wal = running.paths.database_file.with_name("latentty.db-wal")
    assert job.id.encode() in wal.read_bytes() + running.paths.database_file.read_bytes()


async def test_submitting_twice_makes_one_job(running: Running) -> None:
    attached = await running.attach()
    job = make_job(count=2)
    for _ in range(2):
        await attached.client.submit(job)
    await attached.end_of(job)
    await attached.client.submit(job)
    assert len(await attached.client.pictures(job.id)) == 2
    assert running.script.ran == [job.prompt]


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"width": 250}, "multiple|steps of 8"),
        ({"steps": 0}, "1 to 500|>= 1"),
        ({"scheduler": "none"}, "no scheduler"),
        ({"model": "none"}, "no model"),
        ({"vae": "/vae"}, "/vae is not there"),
        ({"text_encoder": "none"}, "no text encoder called 'none'"),
        ({"model": "/none"}, "not there"),
        ({"folder": "here"}, "absolute"),
        ({"file_stem": "../x"}, "file name"),
        ({"id": "short"}, "id"),
    ],
)
async def test_what_cannot_be_drawn_is_not_accepted(running: Running, changes: dict[str, object], told: str) -> None:
    attached = await running.attach()
    with pytest.raises(LatenttyError, match=told) as caught:
        await attached.client.submit(make_job(**changes))
    assert caught.value.problem.code in ("bad_request", "model_missing")
    assert attached.snapshot.jobs == {}


async def test_every_client_is_told_everything_in_order_and_without_gaps(running: Running) -> None:
    first, second = await running.attach(), await running.attach()
    jobs = [make_job(prompt=str(number)) for number in range(5)]
    for job in jobs:
        await first.client.submit(job)
    late = await running.attach()
    for attached in (first, second, late):
        await attached.end_of(jobs[-1])
    assert first.watching.events == second.watching.events
    assert first.snapshot == second.snapshot == late.snapshot
    assert running.script.ran == [job.prompt for job in jobs]


async def test_a_client_that_comes_back_gets_exactly_what_it_missed(running: Running) -> None:
    reader, writer, welcome = await attach(running.paths, hello())
    writer.close()
    attached = await running.attach()
    job = make_job()
    await attached.client.submit(job)
    await attached.end_of(job)
    reader, writer, again = await attach(running.paths, hello(boot=welcome.boot, since=welcome.seq))
    assert again.snapshot is None
    missed = []
    while len(missed) < again.seq - welcome.seq:
        frame = await asyncio.wait_for(read_frame(reader, 1 << 24), 5)
        assert frame is not None
        missed.append(engine_frames.decode(frame))
    assert [one.seq for one in missed] == list(range(welcome.seq + 1, again.seq + 1))
    assert [type(one.event) for one in missed if isinstance(one.event, events.JobDone)] == [events.JobDone]
    writer.close()


async def test_a_client_of_another_engine_process_gets_a_snapshot(running: Running) -> None:
    _, writer, welcome = await attach(running.paths, hello(boot="another", since=3))
    assert welcome.snapshot is not None
    writer.close()


async def test_cancel_ends_one_job_and_no_other(running: Running) -> None:
    running.script.gate = asyncio.Event()
    attached = await running.attach()
    jobs = [make_job(prompt=name) for name in ("running", "waiting", "last")]
    for job in jobs:
        await attached.client.submit(job)
    await attached.until(lambda: attached.snapshot.running is not None)
    for job in jobs[:2]:
        await attached.client.request(Cancel(job_id=job.id))
    running.script.gate.set()
    states = [(await attached.end_of(job)).state for job in jobs]
    assert states == ["cancelled", "cancelled", "done"]
    with pytest.raises(LatenttyError, match="no job"):
        await attached.client.request(Cancel(job_id="0" * 16))
    await attached.client.request(Cancel(job_id=jobs[2].id))
    assert attached.snapshot.jobs[jobs[2].id].state == "done"


async def test_pause_starts_no_further_job(running: Running) -> None:
    attached = await running.attach()
    await attached.client.request(Pause())
    job = make_job()
    await attached.client.submit(job)
    await asyncio.sleep(0.2)
    assert attached.snapshot.jobs[job.id].state == "waiting"
    await attached.client.request(Resume())
    assert (await attached.end_of(job)).state == "done"


async def test_a_failed_job_tells_why_and_can_be_retried(running: Running) -> None:
    problem = Problem(code="out_of_memory", cause="Memory ran out.", hint="Smaller.")
    running.script.fail["bad"] = problem
    attached = await running.attach()
    bad, good = make_job(prompt="bad"), make_job(prompt="good")
    for job in (bad, good):
        await attached.client.submit(job)
    assert (await attached.end_of(bad)).problem == problem
    assert (await attached.end_of(good)).state == "done"
    del running.script.fail["bad"]
    await attached.client.request(Retry(job_id=bad.id))
    assert (await attached.end_of(bad)).state == "done"


async def test_a_worker_that_dies_costs_a_job_one_more_run_and_then_it_is_set_aside(running: Running) -> None:
    attached = await running.attach()
    once, twice, after = (make_job(prompt=name) for name in ("once", "twice", "after"))
    running.script.kill_next = 1
    await attached.client.submit(once)
    assert (await attached.end_of(once)).state == "done"
    running.script.kill_next = 2
    await attached.client.submit(twice)
    await attached.client.submit(after)
    record = await attached.end_of(twice)
    assert record.state == "failed"
    assert record.problem is not None
    assert record.problem.code == "worker_died"
    assert (await attached.end_of(after)).state == "done"
    assert running.script.ran == ["once", "once", "twice", "twice", "after"]
    told = [event for event in attached.watching.events if isinstance(event, events.JobInterrupted)]
    assert [event.job_id for event in told] == [once.id, twice.id]


async def test_pictures_saved_before_a_crash_are_not_made_again(running: Running) -> None:
    attached = await running.attach()
    job = make_job(count=4)
    running.script.gate = asyncio.Event()
    await attached.client.submit(job)
    await attached.until(lambda: attached.snapshot.running is not None)
    running.script.gate = None
    await attached.until(lambda: attached.snapshot.jobs[job.id].saved >= 1)
    running.script.homes[-1].kill()
    assert (await attached.end_of(job)).state == "done"
    pictures = await attached.client.pictures(job.id)
    assert [picture.index for picture in pictures] == [0, 1, 2, 3]


async def test_a_worker_that_cannot_start_holds_the_queue_and_loses_nothing(running: Running) -> None:
    running.script.broken = True
    attached = await running.attach()
    job = make_job()
    await attached.client.submit(job)
    await attached.until(lambda: attached.snapshot.engine.hold is not None)
    hold = attached.snapshot.engine.hold
    assert hold is not None
    assert hold.code == "worker_broken"
    assert attached.snapshot.jobs[job.id].state == "waiting"
    assert attached.snapshot.jobs[job.id].attempts == 0
    running.script.broken = False
    await attached.client.request(Resume())  # any command makes the pool look again
    assert (await attached.end_of(job)).state == "done"


async def test_an_unwritable_output_folder_holds_the_queue_until_it_can_be_written(running: Running) -> None:
    pictures = running.paths.state.parents[2] / "pictures"
    pictures.write_text("a file is in the way")
    attached = await running.attach()
    job = make_job()
    await attached.client.submit(job)
    await attached.until(lambda: attached.snapshot.engine.hold is not None)
    assert attached.snapshot.jobs[job.id].state == "waiting"
    pictures.unlink()
    assert (await attached.end_of(job)).state == "done"
    assert attached.snapshot.engine.hold is None


async def test_an_unwritable_folder_of_ones_own_fails_only_that_job(running: Running) -> None:
    blocked = running.paths.state / "blocked"
    blocked.write_text("a file")
    attached = await running.attach()
    mine, other = make_job(folder=str(blocked)), make_job()
    for job in (mine, other):
        await attached.client.submit(job)
    record = await attached.end_of(mine)
    assert record.problem is not None
    assert record.problem.code == "output_unwritable"
    assert (await attached.end_of(other)).state == "done"


async def test_a_stopped_engine_gives_its_job_back_and_the_next_one_does_it(running: Running) -> None:
    running.script.gate = asyncio.Event()
    attached = await running.attach()
    job = make_job()
    await attached.client.submit(job)
    await attached.until(lambda: attached.snapshot.running is not None)
    await attached.client.request(Shutdown())
    await running.ended()
    running.script.gate.set()
    await running.start()
    again = await running.attach()
    record = await again.end_of(job)
    assert (record.state, record.attempts) == ("done", 1)


async def test_an_engine_that_ends_while_its_worker_starts_tells_of_no_fault_and_leaves_no_socket(
    home: Paths, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LATENTTY_AUTOLOAD", "true")
    monkeypatch.setattr(listener, "LOOK_EVERY", 0.01)
    monkeypatch.setattr(daemon, "LAST_WORDS", 0.2)
    running = Running(home)
    running.script.mute = True
    await running.start()
    attached = await running.attach()
    await attached.client.submit(make_job())
    await attached.until(lambda: attached.snapshot.engine.worker == "starting")
    await attached.client.request(Shutdown())
    await running.ended()
    assert attached.snapshot.engine.hold is None
    assert not any(isinstance(event, events.Warning) for event in attached.watching.events)
    assert not home.socket_file().exists()
    await running.stop()


async def test_a_worker_that_dies_before_its_job_begins_and_cannot_start_again_costs_the_job_nothing(
    running: Running, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pool, "START_AGAIN", 0.02)
    claim = Queue.claim

    async def claim_late(queue: Queue, warm: Collection[str]) -> events.JobRecord | None:
        record = await claim(queue, warm)
        if running.script.started == 1:
            running.script.broken = True
            running.script.homes[0].kill()
        return record

    monkeypatch.setattr(Queue, "claim", claim_late)
    attached = await running.attach()
    job = make_job()
    await attached.client.submit(job)
    await attached.until(lambda: running.script.started > 2)
    assert attached.snapshot.engine.hold is not None
    assert attached.snapshot.engine.hold.code == "worker_broken"
    assert attached.snapshot.jobs[job.id].open
    running.script.broken = False
    record = await attached.end_of(job)
    assert (record.state, record.attempts) == ("done", 1)


async def test_the_socket_is_its_owners_alone_and_comes_back_when_it_vanishes(running: Running) -> None:
    told = read_engine_file(running.paths.lock_file)
    assert told is not None
    assert stat.S_IMODE(os.stat(told.socket).st_mode) == 0o600  # noqa: PTH116
    os.unlink(told.socket)  # noqa: PTH108
    async with asyncio.timeout(5):
        while True:
            try:
                _, writer, _ = await attach(running.paths, hello())
                break
            except EngineAbsent:
                await asyncio.sleep(0.05)
    writer.close()


async def test_another_user_is_refused(running: Running, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tui.protocol.peer.peer_user_id", lambda _: os.getuid() + 1)
    with pytest.raises(LatenttyError, match="another user"):
        await attach(running.paths, hello())
    monkeypatch.setattr(client_module, "is_same_user", lambda _: True)
    with pytest.raises(EngineAbsent):  # the engine hangs up without a word
        await attach(running.paths, hello())


async def test_another_protocol_is_refused_with_what_to_do(running: Running) -> None:
    with pytest.raises(LatenttyError, match="latentty engine stop"):
        await attach(running.paths, hello(protocol=PROTOCOL_VERSION + 1))


async def test_a_hung_engine_is_reported_with_what_to_do(home: Paths, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(client_module, "ANSWER_WITHIN", 0.2)
    with socket.socket(socket.AF_UNIX) as silent:
        silent.bind(str(home.socket_file()))
        silent.listen()
        with pytest.raises(LatenttyError, match="does not answer.*stop --force"):
            await attach(home, hello())


async def test_junk_on_the_socket_ends_that_connection_and_no_other(running: Running) -> None:
    attached = await running.attach()
    told = read_engine_file(running.paths.lock_file)
    assert told is not None
    for junk in (b"\x00\x00\x00\x05hello", (MAX_REQUEST + 1).to_bytes(4, "big"), os.urandom(64), b""):
        for greeting in (b"", encode(hello())):
            reader, writer = await asyncio.open_unix_connection(told.socket)
            writer.write(greeting + junk)
            writer.write_eof()
            await asyncio.wait_for(reader.read(), 10)
            writer.close()
    job = make_job()
    await attached.client.submit(job)
    assert (await attached.end_of(job)).state == "done"


async def test_a_client_that_does_not_read_delays_nobody(running: Running) -> None:
    told = read_engine_file(running.paths.lock_file)
    assert told is not None
    _, lazy = await asyncio.open_unix_connection(told.socket, limit=1024)
    lazy.write(encode(hello()))
    lazy.transport.pause_reading()
    attached = await running.attach()
    jobs = [make_job(prompt="x" * 15_000 + str(number)) for number in range(100)]
    for job in jobs:
        await attached.client.submit(job)
    await attached.end_of(jobs[-1])
    lazy.close()


async def test_an_engine_without_work_or_clients_ends_itself(home: Paths, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LATENTTY_AUTOLOAD", "false")
    monkeypatch.setenv("LATENTTY_ENGINE_EXIT_AFTER", "0.001")
    running = Running(home)
    await running.start()
    await running.ended()
    with pytest.raises(EngineAbsent):
        await attach(home, hello())


async def test_a_client_keeps_an_idle_engine_but_not_its_worker(home: Paths, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LATENTTY_AUTOLOAD", "false")
    monkeypatch.setenv("LATENTTY_ENGINE_EXIT_AFTER", "0.001")
    monkeypatch.setenv("LATENTTY_ENGINE_END_WORKER_AFTER", "0.001")
    running = Running(home)
    await running.start()
    attached = await running.attach()
    job = make_job()
    await attached.client.submit(job)
    await attached.end_of(job)
    await attached.until(lambda: attached.snapshot.engine.worker == "absent", 10)
    again = make_job()
    await attached.client.submit(again)
    assert (await attached.end_of(again)).state == "done"
    assert running.script.started == 2
    await running.stop()


async def test_a_command_survives_the_engine_it_was_sent_to(running: Running) -> None:
    """A request without a reply is sent to the next engine."""
    watching = Watching()
    client = EngineClient(running.paths, watching, start=False)
    job = make_job()
    submitting = asyncio.create_task(client.submit(job))
    await asyncio.sleep(0.05)
    staying = asyncio.create_task(client.run())
    assert (await asyncio.wait_for(submitting, 10)).job == job
    staying.cancel()


async def test_a_worker_that_had_nothing_to_do_is_not_taken_for_one_that_hangs(
    running: Running, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pool, "LOOK_AFTER", 0.01)
    assert running.engine is not None
    link = await running.engine._pool._worker()
    link.heard -= 3600  # as long ago as it was when nothing was asked of it all the time
    async with asyncio.timeout(60):
        while time.monotonic() - link.heard > 600:
            await asyncio.sleep(0.01)
