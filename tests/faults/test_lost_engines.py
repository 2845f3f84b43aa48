"""An engine that dies for good, or stands still, under a script: the script ends, and what was accepted is not lost."""

import asyncio
import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from tests.conftest import pictures_below
from tests.faults.conftest import QuickEngine, Tally
from tui.protocol.commands import GetSnapshot
from tui.protocol.events import JobRecord

NO_ENGINE = """
import os, sys
if "engine" in sys.orig_argv:
    os.write(2, b"no engine any more")
    os._exit(1)
"""
"""Imported by every Python process of a script: none of them becomes an engine."""

MODEL, TAKEN, WRITTEN, ACCEPTED = ("before answer:1", "before answer:2", "before commit:1", "after commit:1")
"""Where an engine is between greeting a script and telling it that its job is queued: before it tells of the model,
before it takes the job, before the job is on the disk, and after that."""


@dataclass
class Script:
    """`latentty` with some arguments, for which no engine can be started."""

    process: subprocess.Popen[str]

    @classmethod
    def begin(cls, folder: Path, *arguments: str, typed: Path = Path(os.devnull)) -> "Script":
        folder.mkdir(exist_ok=True)
        (folder / "sitecustomize.py").write_text(NO_ENGINE)
        return cls(
            subprocess.Popen(
                [sys.executable, "-m", "tui", *arguments],
                env=os.environ | {"PYTHONPATH": f"{folder}:{Path.cwd()}"},
                stdin=typed.open(),
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                text=True,
            )
        )

    async def end(self) -> tuple[int, str, str]:
        """The exit status, and what was printed."""
        out, wrong = await asyncio.to_thread(self.process.communicate, timeout=60)
        return self.process.returncode, out, wrong


async def some_engine(quick: QuickEngine, fault: Path, what: str) -> None:
    """Have an engine that has nothing of its own to write any more, and meets `what`."""
    await asyncio.to_thread(quick.start, FAULT_FILE=str(fault), LATENTTY_WATCH_MODELS="false")
    attached = await quick.attach()
    await attached.client.request(GetSnapshot())
    new = fault.with_suffix(".new")
    new.write_text(what)
    new.rename(fault)


def generate(tmp_path: Path) -> Script:
    return Script.begin(tmp_path / "none", "generate", "x", "--json", "--size", "64", "--steps", "2")


async def ended_jobs(quick: QuickEngine, count: int) -> list[JobRecord]:
    """The `count` jobs that there are, once they are at their end."""
    attached = await quick.attach()
    jobs = attached.snapshot.jobs
    await attached.until(lambda: len(jobs) == count and not any(record.open for record in jobs.values()))
    return list(jobs.values())


async def test_generate_ends_when_its_engine_dies_for_good(
    quick: QuickEngine, tmp_path: Path, tally: Tally, times: Callable[[int, int], int]
) -> None:
    fault = tmp_path / "fault"
    accepted = 0
    for place in (MODEL, TAKEN, WRITTEN, ACCEPTED)[: times(1, 4)]:
        await some_engine(quick, fault, place)
        status, out, wrong = await generate(tmp_path).end()
        assert not fault.exists(), "it died there"
        failed = json.loads(out.splitlines()[-1])
        assert (status, failed["event"], failed["code"]) == (1, "failed", "engine_unavailable"), wrong
        assert "no engine any more" in failed["cause"]
        assert ("If the job was queued" in failed["hint"]) == (place != MODEL)
        accepted += place == ACCEPTED
        await asyncio.to_thread(quick.start)
        records = await ended_jobs(quick, accepted)
        tally.tried += 1
        tally.lost += [record.state for record in records].count("done") != accepted
        tally.lost += len(pictures_below(tmp_path / "pictures")) != accepted
        quick.kill()
    assert tally.lost == 0


async def test_generate_hears_ctrl_c_while_its_engine_stands_still(
    quick: QuickEngine, tmp_path: Path, tally: Tally, times: Callable[[int, int], int]
) -> None:
    fault = tmp_path / "fault"
    for place in (MODEL, TAKEN, WRITTEN, ACCEPTED)[: times(1, 4)]:
        await some_engine(quick, fault, f"{place}:SIGSTOP")
        script = generate(tmp_path)
        async with asyncio.timeout(30):
            while fault.exists():
                await asyncio.sleep(0.01)
        script.process.send_signal(signal.SIGINT)
        status, out, wrong = await script.end()
        told = json.loads(out.splitlines()[-1])
        if place == MODEL:
            assert (status, told["event"]) == (130, "cancelled"), wrong
        else:
            assert (status, told["code"]) == (1, "engine_unavailable"), wrong
            assert "If the job was queued, it was not cancelled" in told["hint"]
        assert quick.process is not None
        quick.process.send_signal(signal.SIGCONT)
        tally.tried += 1
        tally.sums["jobs that went on"] += place != MODEL
        states = [record.state for record in await ended_jobs(quick, tally.sums["jobs that went on"])]
        assert states.count("done") + states.count("cancelled") == len(states)
        assert len(pictures_below(tmp_path / "pictures")) == states.count("done")
        quick.kill()


async def test_other_scripts_end_when_their_engine_dies_for_good(
    quick: QuickEngine, tmp_path: Path, tally: Tally
) -> None:
    (tmp_path / "lines").write_text("a fox\n")
    for arguments in (("models", "get", "hf:org/name", "--to", str(tmp_path / "there")), ("--plain",)):
        await some_engine(quick, tmp_path / "fault", MODEL)
        status, out, wrong = await Script.begin(tmp_path / "none", *arguments, typed=tmp_path / "lines").end()
        tally.tried += 1
        assert not (tmp_path / "fault").exists()
        assert status == 1, wrong
        assert "no engine any more" in out + wrong
