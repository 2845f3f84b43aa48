"""Masks: every way to paint, and every way back."""

import io
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image, ImageDraw

from tui.library.mask import ANEW, KEPT, Mask, mask_png
from tui.library.mask_files import store_mask
from tui.protocol.problem import LatenttyError

OPERATIONS = st.sampled_from(
    [
        lambda mask: mask.brush([(3, 3), (12, 9)], 2),
        lambda mask: mask.brush([(5, 5)], 1, KEPT),
        lambda mask: mask.rectangle((10, 8, 2, 3)),
        lambda mask: mask.ellipse((1, 1, 14, 10), KEPT),
        lambda mask: mask.fill(0, 0),
        lambda mask: mask.fill(8, 6, KEPT),
        lambda mask: mask.invert(),
        lambda mask: mask.blur(1.5),
        lambda mask: mask.clear(),
    ]
)


@given(st.lists(OPERATIONS, max_size=8))
def test_undo_walks_back_to_the_beginning_and_redo_to_the_end(operations: list[object]) -> None:
    mask = Mask(16, 12)
    states = [mask.image.tobytes()]
    for operation in operations:
        operation(mask)
        states.append(mask.image.tobytes())
    for state in reversed(states[:-1]):
        assert mask.undo()
        assert mask.image.tobytes() == state
    assert not mask.undo()
    for state in states[1:]:
        assert mask.redo()
        assert mask.image.tobytes() == state
    assert not mask.redo()


@given(st.data())
def test_fill_finds_what_a_plain_flood_fill_finds(data: st.DataObject) -> None:
    width, height = data.draw(st.integers(1, 9)), data.draw(st.integers(1, 9))
    pixels = bytes(data.draw(st.lists(st.sampled_from([0, 255]), min_size=width * height, max_size=width * height)))
    x, y = data.draw(st.integers(0, width - 1)), data.draw(st.integers(0, height - 1))
    expected = Image.frombytes("L", (width, height), pixels)
    value = 255 - expected.getpixel((x, y))
    mask = Mask(width, height)
    mask._image = expected.copy()
    ImageDraw.floodfill(expected, (x, y), value)
    mask.fill(x, y, value)
    assert mask.image.tobytes() == expected.tobytes()


def test_a_stroke_of_many_dabs_is_one_change() -> None:
    mask = Mask(32, 32)
    mask.brush([(4, 4)], 2)
    mask.brush([(4, 4), (20, 20)], 2, goes_on=True)
    assert mask.image.getpixel((12, 12)) == ANEW
    mask.undo()
    assert mask.share == 0


def test_a_picture_of_any_size_and_colour_is_taken_as_a_mask() -> None:
    mask = Mask(32, 16)
    mask.paste(Image.new("RGBA", (8, 4), "white"))
    assert mask.share == 1


def test_a_mask_fits_into_one_message_however_little_it_can_be_packed() -> None:
    noise = Image.effect_noise((512, 512), 90)
    data = mask_png(noise, 100_000)
    assert len(data) <= 100_000
    assert Image.open(io.BytesIO(data)).size == (256, 256)
    mask = Mask(512, 512)
    mask.ellipse((10, 20, 300, 400))
    assert Image.open(io.BytesIO(mask_png(mask.image, 100_000))).tobytes() == mask.image.tobytes()


def test_a_kept_mask_is_private_and_the_same_file_again_and_what_is_none_is_refused(tmp_path: Path) -> None:
    folder = tmp_path / "masks"
    data = mask_png(Image.new("L", (8, 8), ANEW), 1000)
    path = store_mask(folder, data)
    assert path == store_mask(folder, data)
    assert path.read_bytes() == data
    assert (path.stat().st_mode & 0o777, folder.stat().st_mode & 0o777) == (0o600, 0o700)
    for junk in (b"", b"no picture", data[:-20], b"GIF89a" + bytes(40)):
        with pytest.raises(LatenttyError, match="no picture"):
            store_mask(folder, junk)
    assert list(folder.iterdir()) == [path]
