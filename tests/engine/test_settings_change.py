"""What the settings say is acted on while the engine runs."""

import asyncio
from pathlib import Path

import pytest

from tests.conftest import make_job, pictures_below
from tests.engine.conftest import Running
from tests.library import model_files as files
from tests.library.model_files import write_safetensors
from tui.library.settings import save_setting
from tui.protocol.commands import ReadSettings, SetBudget


@pytest.mark.parametrize("watched", ["true", "false"])
async def test_changed_settings_take_effect_without_a_restart(
    running: Running, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, watched: str
) -> None:
    monkeypatch.delenv("LATENTTY_OUTPUT_FOLDER")
    monkeypatch.setenv("LATENTTY_WATCH_MODELS", watched)
    attached = await running.attach()
    client, paths = attached.client, running.paths
    await client.submit(first := make_job())
    await attached.end_of(first)

    save_setting(paths, "output_folder", str(tmp_path / "elsewhere"))
    save_setting(paths, "picture_format", "webp")
    save_setting(paths, "engine.memory_budget", 2)
    save_setting(paths, "autoload_model", "emoji-tiny")
    await client.request(ReadSettings())
    assert attached.snapshot.kept.autoload == "emoji-tiny"
    await client.submit(second := make_job())
    await attached.end_of(second)
    assert [path.suffix for path in pictures_below(tmp_path / "elsewhere")] == [".webp"]
    assert SetBudget(bytes=2 << 30) in running.script.orders
    assert running.script.started == 1, "none of these needs another worker"

    running.script.gate = asyncio.Event()
    await client.submit(third := make_job())
    await attached.running(third)
    write_safetensors(tmp_path / "models" / "deep" / "mine.safetensors", files.SD1)
    save_setting(paths, "model_folders", [str(tmp_path / "models")])
    await client.request(ReadSettings())
    await attached.until(lambda: "mine" in [model.name for model in attached.snapshot.models])
    running.script.gate.set()
    assert (await attached.end_of(third)).attempts == 1, "the job that ran was left alone"
    await client.submit(fourth := make_job())
    await attached.end_of(fourth)
    assert running.script.started == 2, "the next one has a worker that knows the folder"

    save_setting(paths, "model_folders", [])
    await client.request(ReadSettings())
    await attached.until(lambda: "mine" not in [model.name for model in attached.snapshot.models])
