"""Pictures over the whole screen, by keys."""

from pathlib import Path

from PIL import Image

from tests.conftest import make_job, pictures_below
from tests.screens.conftest import OpenApp, snapshot_of, type_text, until
from tui.screens.viewer import ViewerScreen
from tui.widgets.number_input import NumberInput


async def test_the_last_pictures_are_seen_near_far_and_beside_each_other(open_app: OpenApp, tmp_path: Path) -> None:
    async with open_app(120, 36) as pilot:
        app = pilot.app
        await until(pilot, lambda: app.screen.settings.model is not None)
        await pilot.press("f9")
        assert not isinstance(app.screen, ViewerScreen), "there is nothing to see yet"
        for name, text in (("width", "128"), ("height", "128"), ("steps", "1"), ("count", "2")):
            app.screen.query_one(f"#{name}", NumberInput).value = text
        await type_text(pilot, "an apple")
        await pilot.press("enter")
        await until(
            pilot, lambda: len(snapshot_of(pilot).pictures) == 2 and len(pictures_below(tmp_path / "pictures")) == 2
        )
        await pilot.press("f9")
        viewer = app.screen
        assert isinstance(viewer, ViewerScreen)
        first, second = viewer._views
        await until(pilot, lambda: first.image is not None and first.image.size == (128, 128))
        await until(pilot, lambda: first._spot.area.rows == first.size.height)
        await pilot.press("plus")
        await until(pilot, lambda: "1:1" in str(viewer._about.content))
        area = first._spot.area
        assert (area.columns, area.rows * 2) == (min(first.dots[0], 128), first.dots[1]), "one dot a pixel"
        await pilot.press("plus")
        await until(
            pilot, lambda: first.image is not None and first.image.size == (first.dots[0] // 2, first.dots[1] // 2)
        )
        before = first.image
        await pilot.press("left")
        await until(pilot, lambda: first.image is not before and not first._live)
        await pilot.press("minus", "minus", "s")
        await until(pilot, lambda: second.image is not None)
        assert second.display
        assert "beside" in str(viewer._about.content)
        await pilot.press("s", "n")
        await until(pilot, lambda: "2 of 2" in str(viewer._about.content))
        await pilot.press("b")  # made from its prompt alone: told, and the picture stays
        await pilot.pause()
        assert first.image is not None
        await pilot.press("escape")
        assert not isinstance(app.screen, ViewerScreen)
        start = tmp_path / "start.png"
        Image.new("RGB", (96, 64), "teal").save(start)
        job = make_job(mode="img2img", image=str(start), strength=0.5, width=96, height=64)
        await app._client.submit(job)
        await until(pilot, lambda: job.id in [one.job_id for one in snapshot_of(pilot).pictures])
        await pilot.press("f9")
        viewer = app.screen
        first, second = viewer._views
        await until(pilot, lambda: first.image is not None)
        assert viewer._listed[viewer._index].job_id == job.id, "the newest first"
        await pilot.press("b")
        await until(pilot, lambda: first.image.convert("RGB").getcolors() == [(96 * 64, (0, 128, 128))])
        await pilot.press("s")
        await until(pilot, lambda: second.image is not None)
        assert second.image.convert("RGB").getcolors() != [(96 * 64, (0, 128, 128))], "after beside before"
        await pilot.press("s", "b")
        await until(pilot, lambda: "before" not in str(viewer._about.content))
        start.unlink()
        await pilot.press("b")
        await until(pilot, lambda: not viewer._is_before)
        assert first.image is not None, "what it was made from is gone: told, and the picture stays"
