"""Many jobs, many clients, for long: memory, descriptors and threads stay flat, and no event is missing."""

import asyncio
import json
import math
import os
import random
import signal
import statistics
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import Attached, make_job
from tests.faults.conftest import QuickEngine, Tally
from tests.faults.test_hostile_clients import HELLO, resident_bytes
from tests.faults.test_sudden_death import count_losses
from tests.test_terminal_session import Session
from tui.client import attach
from tui.engine import log_file
from tui.library.models import BUNDLED
from tui.library.paths import Paths, bundled_models
from tui.protocol.commands import Cancel, EnsureControlNet, ReleaseControlNet, UnloadModel
from tui.protocol.events import ModelInfo
from tui.protocol.frames import MAX_FRAME, Numbered, encode, engine_frames, read_frame
from tui.protocol.job import Adapter, Control, Job

MEBIBYTE = 1 << 20
NET = "emoji-tiny-control-edges"


def descriptors(process: int) -> int:
    return len(os.listdir(f"/proc/{process}/fd"))  # noqa: PTH208


def threads(process: int) -> int:
    return len(os.listdir(f"/proc/{process}/task"))  # noqa: PTH208


@dataclass
class Watch:
    """What a process holds, as the jobs go by."""

    what: str
    jobs: list[int] = field(default_factory=list)
    kept: dict[str, list[float]] = field(default_factory=dict)

    def look(self, jobs: int, process: int, **more: float) -> None:
        held: dict[str, float] = {
            "MiB": resident_bytes(process) // MEBIBYTE,
            "fds": descriptors(process),
            "threads": threads(process),
        }
        self.jobs.append(jobs)
        for name, value in (held | more).items():
            self.kept.setdefault(name, []).append(value)

    def slope(self, name: str) -> float:
        """Growth per thousand jobs, once half of the jobs have passed and everything has been seen."""
        return self._fitted(name)[0]

    def grown(self, name: str) -> float:
        """What there is more than when half of the jobs had passed."""
        return self.kept[name][-1] - self.kept[name][len(self.jobs) // 2]

    def _fitted(self, name: str) -> tuple[float, float]:
        """The slope, and twice its standard error: what caches hold comes and goes."""
        half = len(self.jobs) // 2
        jobs, kept = self.jobs[half:], self.kept[name][half:]
        if len(jobs) < 3:
            return 0.0, 0.0
        slope, start = statistics.linear_regression(jobs, kept)
        left = sum((value - start - slope * job) ** 2 for job, value in zip(jobs, kept, strict=True)) / (len(jobs) - 2)
        return slope * 1000, 2000 * math.sqrt(left / (statistics.pvariance(jobs) * len(jobs)))

    def __str__(self) -> str:
        ends = []
        for name, values in self.kept.items():
            slope, doubt = self._fitted(name)
            ends.append(f"{values[-1]:.0f} {name} ({slope:+.1f} ± {doubt:.1f})")
        return f"{self.what}: {', '.join(ends)}"


async def without_gaps(paths: Paths, seen: Counter[str]) -> None:
    """Read every event there is, from now on; the numbers have no gap."""
    reader, writer, welcome = await attach(paths, HELLO)
    last = welcome.seq
    try:
        while (frame := await read_frame(reader, MAX_FRAME)) is not None:
            event = engine_frames.decode(frame)
            if isinstance(event, Numbered):
                assert event.seq == last + 1
                last = event.seq
                seen["events"] += 1
    finally:
        writer.transport.abort()


async def test_many_jobs_leave_the_engine_as_small_as_it_was(
    quick: QuickEngine, tally: Tally, tmp_path: Path, times: Callable[[int, int], int]
) -> None:
    quick.start()
    attached = await quick.attach()
    seen: Counter[str] = Counter()
    listening = asyncio.create_task(without_gaps(quick.paths, seen))
    watch = Watch("engine")
    jobs: list[Job] = []
    assert quick.pid is not None
    for number in range(times(100, 4000)):
        job = make_job(prompt=f"{number}" * 20, steps=2, seed=number)
        await attached.client.submit(job)
        jobs.append(job)
        if number % 20 == 19:
            await attached.end_of(job)
            watch.look(number, quick.pid)
    await attached.end_of(jobs[-1])
    assert not listening.done()
    listening.cancel()
    tally.tried = len(jobs)
    tally.lost = count_losses(tmp_path / "pictures", jobs)
    size = sum(path.stat().st_size for path in quick.paths.state.glob("latentty.db*"))
    logs = sum(path.stat().st_size for path in quick.paths.state.glob("engine.log*"))
    tally.note = (
        f"{watch}; {seen['events']:,} events without a gap; {size / len(jobs):,.0f} bytes of database a job,"
        f" {logs:,} of logs"
    )
    assert tally.lost == 0
    assert watch.grown("fds") < 3
    assert watch.grown("threads") < 3
    assert size < 5 * MEBIBYTE + 5_000 * len(jobs), "the database's log of a thousand pages, and some for each job"
    assert logs <= (log_file.LOG_FILES + 1) * log_file.LOG_BYTES


async def test_clients_come_and_go_three_at_a_time(
    quick: QuickEngine, tally: Tally, chance: random.Random, times: Callable[[int, int], int], tmp_path: Path
) -> None:
    quick.start()
    first = await quick.attach()
    jobs = [make_job(prompt=str(number), steps=20, seed=number) for number in range(times(8, 100))]
    for job in jobs:
        await first.client.submit(job)
    assert quick.pid is not None
    before = descriptors(quick.pid)
    for _ in range(times(40, 100)):
        connections = [await attach(quick.paths, HELLO) for _ in range(3)]
        for _, writer, welcome in connections:
            assert welcome.snapshot is not None
            if chance.random() < 0.5:
                writer.write(encode(HELLO)[: chance.randint(1, 10)])
            writer.transport.abort()
        tally.tried += 3
    tally.lost = sum([(await first.end_of(job)).state != "done" for job in jobs])
    tally.lost += count_losses(tmp_path / "pictures", jobs)
    await first.until(lambda: quick.pid is not None and descriptors(quick.pid) <= before + 1)
    assert first.watching.attached == 1
    assert tally.lost == 0


ENDS = ("kill", "hang up", "terminate", "close", "stop and kill", "stop, go on and close")


async def test_apps_are_ended_in_every_way_while_jobs_run(
    quick: QuickEngine, tally: Tally, chance: random.Random, times: Callable[[int, int], int], tmp_path: Path
) -> None:
    quick.start()
    first = await quick.attach()
    jobs: list[Job] = []
    for number in range(times(1, 100)):
        sessions = [Session(80, 24) for _ in range(times(2, 3))]
        job = make_job(prompt=f"number {number}", steps=100, seed=number)
        await first.client.submit(job)
        jobs.append(job)
        for session in sessions:
            await asyncio.to_thread(session.until, lambda session=session: "number " in session.text)
        for session, end in zip(sessions, chance.sample(ENDS, len(sessions)), strict=True):
            await asyncio.sleep(chance.uniform(0, 0.2))
            end_session(session, end)
            tally.tried += 1
        for session in sessions:
            await asyncio.to_thread(session.process.wait, 20)
    tally.lost = sum([(await first.end_of(job)).state != "done" for job in jobs[-40:]])
    tally.lost += count_losses(tmp_path / "pictures", jobs)
    assert first.watching.attached == 1, "the engine was there all the while"
    assert tally.lost == 0


def end_session(session: Session, how: str) -> None:
    send = session.process.send_signal
    match how:
        case "kill":
            send(signal.SIGKILL)
        case "hang up":
            send(signal.SIGHUP)
        case "terminate":
            send(signal.SIGTERM)
        case "close":
            session.close()
        case "stop and kill":
            send(signal.SIGSTOP)
            send(signal.SIGKILL)
        case "stop, go on and close":
            send(signal.SIGTSTP)
            send(signal.SIGCONT)
            session.close()


class Mixture:
    """Jobs of every kind that a worker meets, and what happens to them."""

    def __init__(self, attached: Attached, chance: random.Random, picture: Path) -> None:
        self._attached = attached
        self._chance = chance
        self._picture = picture
        self.made: Counter[str] = Counter()

    @property
    def models(self) -> list[ModelInfo]:
        return [model for model in self._attached.snapshot.models if model.problem is None]

    def job(self, number: int) -> Job:
        chance = self._chance
        model = chance.choice(self.models)
        fields: dict[str, Any] = {
            "prompt": f"a red apple {number}",
            "model": model.name,
            "scheduler": model.scheduler,
            "steps": chance.randint(1, 3),
            "seed": number,
            "guidance_scale": model.guidance_scale,
        }
        kind = chance.choice(("plain", "plain", "img2img", "control", "lora", "two", "failing"))
        if kind == "img2img" and "img2img" in model.modes:
            fields |= {"mode": "img2img", "image": str(self._picture), "strength": 1.0}
        if kind in ("control", "lora"):
            bundled = next(one for one in self.models if one.name == BUNDLED)
            fields |= {"model": BUNDLED, "scheduler": bundled.scheduler, "guidance_scale": 5.0}
            if kind == "control":
                fields["controls"] = [Control(model=NET, image=str(self._picture), annotator="canny")]
            else:
                fields["adapters"] = [Adapter(path=str(bundled_models() / "emoji-tiny-lora-pixel"), weight=0.7)]
        if kind == "two":
            fields["count"] = 2
        if kind == "failing":
            fields |= {"folder": str(self._picture.parent), "file_stem": self._picture.stem}
        self.made[kind] += 1
        return make_job(**fields)

    async def around(self, job: Job) -> None:
        """What users do meanwhile."""
        client, chance = self._attached.client, self._chance
        if chance.random() < 0.06:
            await client.request(Cancel(job_id=job.id))
            self.made["cancels"] += 1
        if chance.random() < 0.05:
            await client.request(chance.choice((EnsureControlNet, ReleaseControlNet))(controlnet=NET))
            self.made["ControlNet toggles"] += 1
        if chance.random() < 0.02:
            await client.request(UnloadModel(model=chance.choice(self.models).name))
            self.made["unloads"] += 1


async def heap(asking: Path, who: str, number: int) -> dict[str, float]:
    """MiB that the heap of `who` holds, without what is kept up to a bound of its own; and this."""
    asking.write_text(str(number))
    told = asking.with_suffix(f".{who}")
    async with asyncio.timeout(60):
        while not told.exists() or (answer := json.loads(told.read_text()))["asked"] != str(number):
            await asyncio.sleep(0.02)
    return {"MiB of heap in use": answer["bytes"] / MEBIBYTE, "MiB cached": answer["cached"] / MEBIBYTE}


async def test_a_long_day_of_a_real_worker(
    home: Paths,
    tmp_path: Path,
    tally: Tally,
    chance: random.Random,
    times: Callable[[int, int], int],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    count = times(0, 2000)
    if not count:
        pytest.skip("the long run only")
    from tests.worker.tiny_models import MODELS

    for name in ("sd", "sdxl", "sd3", "flux"):
        MODELS[name](tmp_path / "models" / name)
    monkeypatch.setenv("LATENTTY_MODEL_FOLDERS", str(tmp_path / "models"))
    monkeypatch.setenv("LATENTTY_ENGINE_MEMORY_BUDGET", "0.06")  # too little for all of them at once
    monkeypatch.setenv("PYTHONPATH", f"{Path(__file__).parent / 'in_use'}:{Path.cwd()}")
    monkeypatch.setenv("PYTHONMALLOC", "malloc")
    monkeypatch.setenv("IN_USE", str(tmp_path / "in_use"))
    attached = Attached(home)
    staying = asyncio.create_task(attached.client.run())
    await attached.until(lambda: attached.client.snapshot is not None)
    seen: Counter[str] = Counter()
    listening = asyncio.create_task(without_gaps(home, seen))
    first = make_job()
    await attached.client.submit(first)
    await attached.end_of(first)
    (picture,) = await attached.client.pictures(first.id)
    mixture = Mixture(attached, chance, Path(picture.path))
    engine, worker = Watch("engine"), Watch("worker")
    states: Counter[str] = Counter()
    begun: list[Job] = []
    for number in range(count):
        job = mixture.job(number)
        await attached.client.submit(job)
        begun.append(job)
        await mixture.around(job)
        if number % 10 == 9:
            for job in begun:
                record = await attached.end_of(job, 1200)
                states[record.state] += 1
                fine = record.state == ("failed" if job.file_stem else "done") or record.state == "cancelled"
                tally.lost += not fine
                assert fine, record
            begun.clear()
            pid = attached.engine_pid
            children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
            residency = attached.snapshot.residency
            assert residency is not None
            engine.look(number, pid, **await heap(tmp_path / "in_use", "engine", number))
            placed = sum(one.bytes for one in residency.components if one.device != "disk")
            held = await heap(tmp_path / "in_use", "worker", number)
            worker.look(number, int(children[0]), **{"MiB of weights": placed // MEBIBYTE}, **held)
            tally.tried = number + 1
            tally.note = f"{engine}; {worker}; {seen['events']:,} events; {dict(states)}; {dict(mixture.made)}"
    assert not listening.done()
    listening.cancel()
    staying.cancel()
    logs = sum(path.stat().st_size for path in home.state.glob("engine.log*"))
    size = sum(path.stat().st_size for path in home.state.glob("latentty.db*"))
    tally.note += f"; {size / count:,.0f} bytes of database a job, {logs:,} of logs"
    assert attached.watching.attached == 1
    for watch in (engine, worker):
        assert watch.grown("fds") < 3
        assert watch.grown("threads") < 3
    assert engine.slope("MiB") < 10
    assert worker.slope("MiB") < 40
    assert engine.grown("MiB of heap in use") < 1
    # once in a while Python makes the table of all its names anew, twice as large: 3.7 MiB
    assert worker.grown("MiB of heap in use") < 5
