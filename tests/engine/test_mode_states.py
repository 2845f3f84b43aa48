"""What a mode remembers is there again when it is entered: after another mode, another model, another process."""

import msgspec
import pytest

from tests.conftest import Attached
from tests.engine.conftest import Running
from tui.library.models import BUNDLED
from tui.library.paths import Paths, bundled_models
from tui.protocol.commands import LeftMode, SwapMode
from tui.protocol.job import Adapter, Control, Edges, MemoryOptions, Mode, ModeState

FULL = ModeState(
    width=320,
    height=192,
    steps=17,
    guidance_scale=3.5,
    scheduler="euler-karras",
    count=3,
    image="/pictures/fox.png",
    mask="/pictures/mask.png",
    strength=0.35,
    mask_blur=9,
    grow=Edges(left=64),
    controls=[Control(model="edges", image="/e.png", annotator="canny", weight=0.7, start=0.1, end=0.8)],
    adapters=[Adapter(path="/lora.safetensors", weight=0.6, text_weight=0.2)],
    clip_skip=2,
    memory=MemoryOptions(tile_vae=True, offload="layers"),
    seed=417,
    seed_policy="increment",
)


async def enter(attached: Attached, model: str, mode: Mode, leaving: LeftMode | None = None) -> ModeState:
    reply = await attached.client.request(SwapMode(model=model, mode=mode, leaving=leaving))
    return msgspec.msgpack.decode(reply, type=ModeState)


async def test_everything_is_restored_exactly(home: Paths, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LATENTTY_AUTOLOAD", "false")
    folder = home.state.parents[2] / "models"
    folder.mkdir()
    (folder / "other").symlink_to(bundled_models() / BUNDLED)
    home.settings_file.parent.mkdir(parents=True, exist_ok=True)
    home.settings_file.write_text(f'model_folders = ["{folder}"]\n')
    running = Running(home)
    await running.start()
    attached = await running.attach()
    fresh = await enter(attached, BUNDLED, "inpaint")
    assert fresh.steps == 20
    inpaint = LeftMode(model=BUNDLED, mode="inpaint", state=FULL)
    assert await enter(attached, BUNDLED, "txt2img", inpaint) == fresh, "a mode never left has the model's defaults"
    assert await enter(attached, "other", "inpaint") == fresh, "and so has the same mode of another model"
    assert await enter(attached, BUNDLED, "inpaint") == FULL
    assert attached.snapshot.mode_states[BUNDLED] == {"inpaint": FULL}
    await running.stop()

    running = Running(home)
    await running.start()
    attached = await running.attach()
    assert attached.snapshot.mode_states == {BUNDLED: {"inpaint": FULL}}
    assert await enter(attached, BUNDLED, "inpaint") == FULL
    await running.stop()
