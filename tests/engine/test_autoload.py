"""Which model the engine loads when it starts, and that nobody waits for it."""

import asyncio

from tests.conftest import make_job
from tests.engine.conftest import Running
from tests.engine.scripted_home import Script
from tui.library.models import BUNDLED
from tui.library.paths import Paths, bundled_models
from tui.protocol.commands import Autoload, EnsureAdapter, EnsureControlNet, LoadModel, SetAutoload
from tui.protocol.events import Warning
from tui.protocol.problem import Problem

DAMAGED = Problem(code="model_damaged", cause="Its unet is damaged.", hint="Copy it again.")


def asked(script: Script) -> list[Autoload]:
    """The autoloads so far; nothing else may be loaded at a start."""
    assert not [one for one in script.orders if isinstance(one, LoadModel | EnsureControlNet | EnsureAdapter)]
    return [one for one in script.orders if isinstance(one, Autoload)]


async def test_at_the_start_it_is_the_bundled_model_then_the_one_used_last_then_the_one_in_the_settings(
    home: Paths,
) -> None:
    folder = home.state.parents[2] / "models"
    folder.mkdir()
    for name in ("used", "chosen"):
        (folder / name).symlink_to(bundled_models() / BUNDLED)
    home.settings_file.parent.mkdir(parents=True, exist_ok=True)
    home.settings_file.write_text(f'model_folders = ["{folder}"]\n')
    expected = [BUNDLED, "used", "chosen"]
    for number, name in enumerate(expected):
        running = Running(home)
        await running.start()
        attached = await running.attach()
        await attached.until(lambda script=running.script: asked(script) != [], 10)
        (command,) = asked(running.script)
        assert command.model == name
        assert (command.fallback, command.fallback_path) == (BUNDLED, str(bundled_models() / BUNDLED))
        if number == 0:
            job = make_job(model="used")
            await attached.client.submit(job)
            await attached.end_of(job)
        else:
            await attached.client.request(SetAutoload(model="chosen"))
        await running.stop()


async def test_jobs_are_accepted_before_it_and_its_failure_is_a_warning_that_stops_none(home: Paths) -> None:
    running = Running(home)
    running.script.refuse[Autoload] = DAMAGED
    running.script.opened = asyncio.Event()
    await running.start()
    attached = await running.attach()
    job = make_job()
    await attached.client.submit(job)
    assert attached.snapshot.jobs[job.id].state == "waiting"
    assert asked(running.script) == []
    running.script.opened.set()
    assert (await attached.end_of(job)).state == "done"
    warnings = attached.watching.events
    await attached.until(lambda: any(isinstance(event, Warning) for event in warnings), 10)
    assert [event.problem for event in warnings if isinstance(event, Warning)] == [DAMAGED]
    assert attached.snapshot.engine.hold is None
    late = await running.attach()
    assert late.snapshot.warnings == [DAMAGED], "whoever comes later is told, too"
    await running.stop()


async def test_it_can_be_switched_off(running: Running) -> None:
    attached = await running.attach()
    job = make_job()
    await attached.client.submit(job)
    await attached.end_of(job)
    assert asked(running.script) == []
