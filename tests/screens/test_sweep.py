"""The sweep screen: begun, filling, cancelled, gone on with after a restart, and written as a sheet."""

import asyncio
from pathlib import Path

import msgspec
import pytest
from PIL import Image
from textual.widgets import Input, Static

from tests.conftest import make_job
from tests.engine.conftest import Running
from tests.screens.conftest import type_text, until
from tests.screens.scripted import open_scripted
from tui.library.sweeps import read_axes
from tui.protocol.commands import GetSweep, StartSweep
from tui.protocol.events import EngineState, JobRecord, Step
from tui.protocol.problem import LatenttyError
from tui.protocol.snapshot import Snapshot
from tui.protocol.sweep import Sweep, SweepCell, SweepState
from tui.screens.sweep import SweepScreen, sweep_progress
from tui.screens.viewer import ViewerScreen
from tui.widgets.picture_grid import PictureGrid
from tui.widgets.progress_line import ProgressLine


def told(screen: object, where: str) -> str:
    return str(screen.query_one(where, Static).content)  # type: ignore[attr-defined]


def test_a_bar_tells_rate_and_time_left_while_cells_are_drawn() -> None:
    jobs = [make_job() for _ in range(4)]
    sweep = Sweep(id="c" * 16, base=make_job(), axes=read_axes("steps=1..4"))
    cells = [SweepCell(job_id=job.id, labels=["1"], state="waiting") for job in jobs]
    snapshot = Snapshot(engine=EngineState(version="1", pid=1))
    for job, known in zip(jobs, ("done", "running", "waiting", "waiting"), strict=True):
        ended = 12.0 if known == "done" else None
        snapshot.jobs[job.id] = JobRecord(job=job, state=known, submitted=0, started=10.0, finished=ended)
    snapshot.step = Step(job_id=jobs[1].id, index=0, step=5, steps=10)
    state = SweepState(sweep=sweep, cells=cells)
    assert sweep_progress(state, snapshot) == (1.5 / 4, "1/4  30 a minute  5 s left")
    snapshot.engine = EngineState(version="1", pid=1, paused=True)
    assert "paused" in sweep_progress(state, snapshot)[1]
    for job in jobs:
        snapshot.jobs[job.id] = JobRecord(job=job, state="cancelled", submitted=0)
    assert sweep_progress(state, snapshot) is None


async def test_a_sweep_goes_on_after_a_restart_and_is_refused_whole(running: Running) -> None:
    running.script.gate = asyncio.Event()
    attached = await running.attach()
    sweep = Sweep(id="a" * 16, base=make_job(), axes=read_axes("steps=1..3; guidance=4,5"))
    for _ in range(2):
        await attached.client.request(StartSweep(sweep=sweep))
    assert sum(record.open for record in attached.snapshot.jobs.values()) == 6
    bad = Sweep(id="b" * 16, base=make_job(), axes=read_axes("scheduler=dpmpp-2m,none"))
    with pytest.raises(LatenttyError, match="no scheduler"):
        await attached.client.request(StartSweep(sweep=bad))
    assert len(attached.snapshot.jobs) == 6
    await running.stop()
    running.script.gate.set()
    await running.start()
    attached = await running.attach()
    await attached.until(lambda: all(record.state == "done" for record in attached.snapshot.jobs.values()))
    result = await attached.client.request(GetSweep(sweep_id=sweep.id))
    state = msgspec.msgpack.decode(result, type=SweepState)
    assert [cell.labels for cell in state.cells[:4]] == [["1", "4"], ["2", "4"], ["3", "4"], ["1", "5"]]
    assert len({cell.picture for cell in state.cells} - {0}) == 6


@pytest.mark.parametrize("size", [(80, 24), (120, 36)])
async def test_every_key_of_the_sweep_screen(running: Running, size: tuple[int, int], tmp_path: Path) -> None:
    running.script.gate = asyncio.Event()
    async with open_scripted(running, *size) as pilot:
        await pilot.press("f6")
        screen = pilot.app.screen
        assert isinstance(screen, SweepScreen)
        grid = screen.query_one(PictureGrid)
        await pilot.press("n")
        await type_text(pilot, "steps=2..4; guidance=4,5")
        await pilot.press("enter")
        await until(pilot, lambda: "0 of 6 drawn" in told(screen, "#summary"))
        await until(pilot, lambda: grid.tile is not None and grid.tile.marks == "▶")
        bar = screen.query_one(ProgressLine)
        await until(pilot, lambda: bar.display and bar.told.startswith("0/6"))
        assert grid.columns == 3
        await until(pilot, lambda: "steps 2 · guidance 4" in told(screen, "#details"))
        await pilot.press("x")
        await until(pilot, lambda: "cancelled" in told(screen, "#details"))
        running.script.gate.set()
        await pilot.press("z")
        await until(pilot, lambda: "6 of 6 drawn" in told(screen, "#summary") and not bar.display)
        running.script.gate.clear()
        await pilot.press("n")
        screen.query_one("#ask Input", Input).value = "seed=1,2"
        await pilot.press("enter")
        await until(pilot, lambda: "sweep 1 of 2" in told(screen, "#summary"))
        await pilot.press("x")
        await until(pilot, lambda: "cancelled" in told(screen, "#details"))
        running.script.gate.set()
        await pilot.press("r")
        await until(pilot, lambda: "2 of 2 drawn" in told(screen, "#summary"))
        await pilot.press("left_square_bracket")
        await until(pilot, lambda: "sweep 2 of 2" in told(screen, "#summary"))
        await pilot.press("right_square_bracket")
        await until(pilot, lambda: "sweep 1 of 2" in told(screen, "#summary"))

        attached = await running.attach()
        for picture in attached.snapshot.pictures:
            Image.new("RGB", (64, 64), "teal").save(picture.path)
        await pilot.press("p")
        screen.query_one("#ask Input", Input).value = str(tmp_path / "sheet.png")
        await pilot.press("enter")
        await until(pilot, (tmp_path / "sheet.png").exists)
        await pilot.press("l", "h", "enter")
        await until(pilot, lambda: isinstance(pilot.app.screen, ViewerScreen))
