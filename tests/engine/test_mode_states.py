"""What a mode remembers is there again when it is entered: after another mode, another model, another process."""

import pytest

from tests.conftest import Attached
from tests.engine.conftest import Running
from tui.library.models import BUNDLED
from tui.library.paths import Paths
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


async def enter(attached: Attached, model: str, mode: Mode, leaving: LeftMode | None = None) -> None:
    await attached.client.request(SwapMode(model=model, mode=mode, leaving=leaving))


async def test_everything_is_restored_exactly(home: Paths, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LATENTTY_AUTOLOAD", "false")
    running = Running(home)
    await running.start()
    attached = await running.attach()
    await enter(attached, BUNDLED, "inpaint")
    assert attached.snapshot.mode_states == {}
    await enter(attached, BUNDLED, "txt2img", LeftMode(model=BUNDLED, mode="inpaint", state=FULL))
    await enter(attached, BUNDLED, "img2img", LeftMode(model="gone", mode="inpaint", state=FULL))
    assert attached.snapshot.mode_states == {BUNDLED: {"inpaint": FULL}}, "of a listed model, and of no other"
    await running.stop()

    running = Running(home)
    await running.start()
    attached = await running.attach()
    assert attached.snapshot.mode_states == {BUNDLED: {"inpaint": FULL}}
    await running.stop()
