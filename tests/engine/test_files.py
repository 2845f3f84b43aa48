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


async def test_looking_at_the_log_keeps_nothing_awake(running: Running) -> None:
    client = (await running.attach()).client
    running.paths.log_file.write_text("a line\n")
    assert running.engine is not None
    active = running.engine._active
    assert (await client.read_log(LogPlace())).text == "a line\n"
    assert running.engine._active == active
    await client.complete("/")
    assert running.engine._active > active
