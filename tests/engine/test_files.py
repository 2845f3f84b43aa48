"""What a client sees of the box's files, and what it puts there: bounded, private, and told when it fails."""

import io
import os
from pathlib import Path

import pytest
from PIL import ExifTags, Image

from tests.engine.conftest import Running
from tui.library.mask import mask_png
from tui.protocol.commands import MAX_MASK
from tui.protocol.log import LogPlace
from tui.protocol.problem import LatenttyError


async def test_a_picture_anywhere_on_the_box_comes_upright_and_no_larger_than_asked(
    running: Running, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    client = (await running.attach()).client
    monkeypatch.setenv("HOME", str(tmp_path))
    lying = Image.Exif()
    lying[ExifTags.Base.Orientation] = 6
    Image.new("RGB", (600, 300), "teal").save(tmp_path / "photo.jpg", exif=lying)
    picture = Image.open(io.BytesIO(await client.fetch_file("~/photo.jpg", 400, 400)))
    assert picture.size == (200, 400)
    os.mkfifo(tmp_path / "pipe.png")
    for path, why in (("photo.jpg", "absolute"), ("~/pipe.png", "ordinary"), ("~/none.png", "No such file")):
        with pytest.raises(LatenttyError, match=why):
            await client.fetch_file(path, 400, 400)


async def test_a_painted_mask_is_kept_once_and_a_disk_that_cannot_take_it_is_told(running: Running) -> None:
    client = (await running.attach()).client
    folder = running.paths.masks
    folder.parent.mkdir(parents=True, exist_ok=True)
    folder.touch()  # where the folder belongs
    data = mask_png(Image.effect_noise((2048, 2048), 90), MAX_MASK)
    assert len(data) > MAX_MASK // 8
    with pytest.raises(LatenttyError, match="mask cannot be saved"):
        await client.store_mask(data)
    folder.unlink()
    path = await client.store_mask(data)
    assert Path(path).read_bytes() == data
    assert await client.store_mask(data) == path
    with pytest.raises(LatenttyError, match="not possible"):
        await client.store_mask(bytes(MAX_MASK + 1))
    with pytest.raises(LatenttyError, match="no picture"):
        await client.store_mask(b"../../.ssh/authorized_keys")
    assert [one.name for one in folder.iterdir()] == [Path(path).name]


async def test_a_mask_that_was_begun_is_kept_for_its_picture_until_it_is_finished(
    running: Running, tmp_path: Path
) -> None:
    client = (await running.attach()).client
    picture = tmp_path / "cat.png"
    Image.new("RGB", (96, 64), "teal").save(picture)

    async def begun() -> bytes:
        return Image.open(io.BytesIO(await client.fetch_file(str(picture), 2048, 2048, draft=True))).tobytes()

    grey, white = Image.new("L", (96, 64), 128), Image.new("L", (96, 64), 255)
    for mask in (grey, white):
        await client.store_mask(mask_png(mask, MAX_MASK), str(picture), draft=True)
        assert await begun() == mask.tobytes()
    assert len(list(running.paths.masks.iterdir())) == 1
    path = await client.store_mask(mask_png(white, MAX_MASK), str(picture))
    with pytest.raises(LatenttyError, match="No mask of this picture"):
        await begun()
    assert [str(one) for one in running.paths.masks.iterdir()] == [path]
    await client.store_mask(mask_png(grey, MAX_MASK), str(picture), draft=True)
    Image.new("RGB", (96, 640), "red").save(picture)
    with pytest.raises(LatenttyError, match="No mask of this picture"):
        await begun()


async def test_looking_at_the_log_keeps_nothing_awake(running: Running) -> None:
    client = (await running.attach()).client
    running.paths.log_file.write_text("a line\n")
    assert running.engine is not None
    active = running.engine._active
    assert (await client.read_log(LogPlace())).text == "a line\n"
    assert running.engine._active == active
    await client.complete("/")
    assert running.engine._active > active
