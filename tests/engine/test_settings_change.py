"""What the settings say is acted on while the engine runs."""

import asyncio
from pathlib import Path

import pytest

from tests.conftest import make_job, pictures_below
from tests.engine.conftest import Running
from tests.library import model_files as files
from tests.library.model_files import write_safetensors
from tui.library.settings import save_setting
from tui.protocol.commands import ChangeSetting, SetBudget
from tui.protocol.problem import LatenttyError


@pytest.mark.parametrize("watched", ["true", "false"])
async def test_changed_settings_take_effect_without_a_restart(
    running: Running, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, watched: str
) -> None:
    monkeypatch.delenv("LATENTTY_OUTPUT_FOLDER")
    monkeypatch.setenv("LATENTTY_WATCH_MODELS", watched)
    attached = await running.attach()
    client, paths = attached.client, running.paths

    async def change(name: str, value: str) -> None:
        await client.request(ChangeSetting(name=name, value=value))

    await client.submit(first := make_job())
    await attached.end_of(first)

    save_setting(paths, "output_folder", str(tmp_path / "elsewhere"))  # by hand
    await change("picture_format", "webp")
    await change("engine.memory_budget", "2")
    await change("autoload_model", "emoji-tiny")
    for name, value, why in (("nonsense", "1", "no setting"), ("engine.memory_budget", "much", "number is wanted")):
        with pytest.raises(LatenttyError, match=why):
            await change(name, value)
    assert attached.snapshot.settings["output_folder"] == str(tmp_path / "elsewhere")
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
    await change("model_folders", str(tmp_path / "models"))
    await attached.until(lambda: "mine" in [model.name for model in attached.snapshot.models])
    running.script.gate.set()
    assert (await attached.end_of(third)).attempts == 1, "the job that ran was left alone"
    await client.submit(fourth := make_job())
    await attached.end_of(fourth)
    assert running.script.started == 2, "the next one has a worker that knows the folder"

    await change("model_folders", "")
    await attached.until(lambda: "mine" not in [model.name for model in attached.snapshot.models])
