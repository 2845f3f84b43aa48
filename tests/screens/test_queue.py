"""The queue screen: every key of it, on an engine whose worker waits until it is told."""

import asyncio

import pytest
from textual.widgets import DataTable, Static

from tests.conftest import make_job
from tests.engine.conftest import Running
from tests.screens.conftest import snapshot_of, until
from tests.screens.scripted import open_scripted
from tui.protocol.problem import Problem
from tui.screens.queue import QueueScreen
from tui.screens.studio import StudioScreen


def lines(screen: QueueScreen) -> list[tuple[str, str]]:
    table = screen.query_one(DataTable)
    return [(row[0].plain.split()[1], row[4].plain) for row in map(table.get_row_at, range(table.row_count))]


@pytest.mark.parametrize("size", [(80, 24), (120, 36)])
async def test_every_key_of_the_queue_screen(running: Running, size: tuple[int, int]) -> None:
    running.script.gate = asyncio.Event()
    running.script.fail["broken"] = Problem(code="model_damaged", cause="It is damaged.", hint="Get it again.")
    attached = await running.attach()
    jobs = {name: make_job(prompt=name) for name in ("one", "two", "three", "broken")}
    for job in jobs.values():
        await attached.client.submit(job)
    await attached.running(jobs["one"])
    async with open_scripted(running, *size) as pilot:
        await pilot.press("f4")
        screen = pilot.app.screen
        assert isinstance(screen, QueueScreen)
        first = [("running", "one"), ("waiting", "two"), ("waiting", "three"), ("waiting", "broken")]
        await until(pilot, lambda: lines(screen) == first)
        assert "3 waiting" in str(screen.query_one("#summary", Static).content)

        await pilot.press("j", "j", "K")
        await until(pilot, lambda: [name for _, name in lines(screen)] == ["one", "three", "two", "broken"])
        await pilot.press("J")
        await until(pilot, lambda: [name for _, name in lines(screen)] == ["one", "two", "three", "broken"])
        await pilot.press("T")
        await until(pilot, lambda: [name for _, name in lines(screen)] == ["one", "three", "two", "broken"])
        await pilot.press("z")
        await until(pilot, lambda: lines(screen) == first)

        await pilot.press("x")
        await until(pilot, lambda: ("cancelled", "three") in lines(screen))
        await pilot.press("z")
        await until(pilot, lambda: lines(screen) == first)
        await pilot.press("X")
        await until(pilot, lambda: [state for state, _ in lines(screen)] == ["cancelled"] * 4)
        await pilot.press("space")
        await until(pilot, lambda: "paused" in str(screen.query_one("#summary", Static).content))
        await pilot.press("z")
        await until(pilot, lambda: [state for state, _ in lines(screen)] == ["waiting"] * 4)

        running.script.gate.set()
        await pilot.press("space")
        await until(pilot, lambda: [state for state, _ in lines(screen)].count("done") == 3)
        await until(pilot, lambda: ("failed", "broken") in lines(screen))
        for _ in range(4):
            await pilot.press("k")
        for _ in range([name for _, name in lines(screen)].index("broken")):
            await pilot.press("j")
        told = "It is damaged. Get it again."
        await until(pilot, lambda: told in str(screen.query_one("#details", Static).content))
        running.script.fail.clear()
        await pilot.press("r")
        await until(pilot, lambda: ("done", "broken") in lines(screen))

        running.script.fail["two"] = Problem(code="internal", cause="It broke.")
        await attached.client.submit(make_job(prompt="two"))
        await until(pilot, lambda: ("failed", "two") in lines(screen))
        running.script.fail.clear()
        await pilot.press("R")
        await until(
            pilot, lambda: [name for _, name in lines(screen)].count("two") == 2 and not snapshot_of(pilot).waiting
        )
        await until(pilot, lambda: all(state == "done" for state, _ in lines(screen)))

        await pilot.press("home", "e")
        await until(pilot, lambda: isinstance(pilot.app.screen, StudioScreen))
        assert pilot.app.screen.prompts.prompt in jobs


async def test_editing_a_waiting_job_takes_it_out_of_the_queue(running: Running) -> None:
    attached = await running.attach()
    async with open_scripted(running) as pilot:
        await pilot.press("f4", "space")
        await until(pilot, lambda: snapshot_of(pilot).engine.paused)
        job = make_job(prompt="to be changed", width=128)
        await attached.client.submit(job)
        screen = pilot.app.screen
        await until(pilot, lambda: lines(screen) == [("waiting", "to be changed")])
        await pilot.press("e")
        await until(pilot, lambda: snapshot_of(pilot).jobs[job.id].state == "cancelled")
        await until(pilot, lambda: isinstance(pilot.app.screen, StudioScreen))
        assert pilot.app.screen.prompts.prompt == "to be changed"
