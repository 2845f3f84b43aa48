"""Which model the engine loads when it starts, and that nobody waits for it."""

import asyncio
import threading
from pathlib import Path

import pytest

from tests.conftest import Attached, make_job
from tests.engine.conftest import Running
from tests.engine.scripted_home import Script
from tests.library import model_files as files
from tests.library.model_files import write_safetensors
from tui.engine.model_index import ModelIndex
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


def names(attached: Attached) -> list[str]:
    """The models that are listed."""
    return [model.name for model in attached.snapshot.models]


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


async def test_the_engine_listens_before_it_looks_at_the_disk_and_serves_what_the_last_one_knew(
    home: Paths, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Thousands of files can take their time; only what nobody has seen yet waits for them."""
    models = tmp_path / "home" / "ComfyUI" / "models"
    write_safetensors(models / "checkpoints" / "known.safetensors", files.SD1)
    first = Running(home)
    await first.start()
    attached = await first.attach()
    await attached.until(lambda: "known" in names(attached))
    await attached.client.request(SetAutoload(model="known"))
    await first.stop()

    write_safetensors(models / "checkpoints" / "new.safetensors", files.SD1)
    may_look, looked = threading.Event(), ModelIndex._look
    monkeypatch.setattr(ModelIndex, "_look", lambda *asked: may_look.wait() and looked(*asked))
    again = Running(home)
    await again.start()
    attached = await again.attach()
    assert "known" in names(attached)
    known, new = make_job(model="known", prompt="known"), make_job(model="new", prompt="new")
    await attached.client.submit(known)
    waiting = asyncio.create_task(attached.client.submit(new))
    assert (await attached.end_of(known)).state == "done"
    assert [one.model for one in asked(again.script)] == ["known"]
    assert (names(attached).count("new"), waiting.done()) == (0, False), "none of this has waited for a look"
    may_look.set()
    await waiting
    assert (await attached.end_of(new)).state == "done"
    assert again.script.ran == ["known", "new"]
    await again.stop()
