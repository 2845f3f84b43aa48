"""The drawings as sprites: rendered from SVG, each filling its square, packed one after the other into one file."""

import io
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import numpy as np
import numpy.typing as npt
from msgspec import Struct
from PIL import Image

from tui.bundled.training.catalogue import Catalogue, Drawing, Look, Subject
from tui.bundled.training.parallel import map_in_order
from tui.bundled.training.sources import IconSet
from tui.protocol.problem import LatenttyError, Problem

FILE: Final = "sprites.bin"
"""WebP files, one after the other; the catalogue tells where each begins."""

SIZE: Final = 256
"""Pixels along a side of a sprite."""

RENDERED: Final = 512
"""Pixels along a side of what is rendered before it is cut out."""

MARGIN: Final = 0.04
"""Of the longer side, so that no drawing touches the edge of its sprite."""

VISIBLE: Final = 8
"""Alpha, of 255, above which a pixel counts as drawn."""

MIN_PIXELS: Final = 200
"""Pixels that must be drawn; an icon with fewer is left out."""

HUES: Final = 36
"""Steps of the histogram that finds the dominant hue."""

Floats = npt.NDArray[np.float32]
Bytes = npt.NDArray[np.uint8]


class SpriteTask(Struct, frozen=True):
    """One icon to render."""

    subject: int
    look: Look
    svg: str


class Sprite(Struct, frozen=True):
    """One icon, rendered: the bytes of a WebP file, and what there is to say of it (at offset 0)."""

    webp: bytes
    drawing: Drawing


def sprite_tasks(subjects: list[Subject], sets: dict[Look, IconSet]) -> list[SpriteTask]:
    """Every icon of every subject, in the order of the catalogue."""
    return [
        SpriteTask(subject.id, look, sets[look].svg(icon, RENDERED))
        for subject in subjects
        for look, icon in subject.icons.items()
    ]


def write_sprites(tasks: list[SpriteTask], folder: Path, processes: int) -> Iterator[Drawing | None]:
    """Render `tasks` into the file of sprites in `folder`; yields one drawing each, None for an icon left out."""
    offset = 0
    with (folder / FILE).open("wb") as file:
        for sprite in map_in_order(render_sprite, tasks, processes, chunk=8):
            if sprite is None:
                yield None
                continue
            file.write(sprite.webp)
            fields = {name: getattr(sprite.drawing, name) for name in Drawing.__struct_fields__}
            yield Drawing(**(fields | {"offset": offset}))
            offset += len(sprite.webp)


def read_sprite_files(folder: Path, catalogue: Catalogue) -> list[bytes]:
    """The WebP file of every drawing of `catalogue`, in its order.

    Raises:
        LatenttyError: the file of sprites is missing or shorter than the catalogue says.
    """
    path = folder / FILE
    hint = f"Make the data anew with: python -m tui.bundled.training prepare {folder}"
    try:
        packed = path.read_bytes()
    except OSError as error:
        raise LatenttyError(
            Problem(code="not_found", cause=f"{path} cannot be read: {error.strerror}.", hint=hint)
        ) from None
    if any(one.offset + one.length > len(packed) for one in catalogue.drawings):
        raise LatenttyError(Problem(code="bad_request", cause=f"{path} ends before its last drawing.", hint=hint))
    return [packed[one.offset : one.offset + one.length] for one in catalogue.drawings]


def read_sprites(folder: Path, catalogue: Catalogue, processes: int) -> Bytes:
    """Every sprite of `catalogue` as straight RGBA, (drawings, size, size, 4), 0 to 255.

    Raises:
        LatenttyError: the file of sprites is missing or shorter than the catalogue says.
    """
    files = read_sprite_files(folder, catalogue)
    return np.stack(list(map_in_order(decode_sprite, files, processes, chunk=16)))


def decode_sprite(webp: bytes) -> Bytes:
    """A sprite's file as straight RGBA, (size, size, 4), 0 to 255."""
    return np.asarray(Image.open(io.BytesIO(webp)).convert("RGBA"))


def render_sprite(task: SpriteTask) -> Sprite | None:
    """The icon of `task` as a sprite; None when there is almost nothing to see.

    Raises:
        LatenttyError: it is no SVG that can be drawn.
    """
    image = _rendered(task)
    drawn = np.asarray(image)[..., 3] > VISIBLE
    if drawn.sum() < MIN_PIXELS:
        return None
    rows, columns = np.where(drawn)
    left, top, right, bottom = columns.min(), rows.min(), columns.max() + 1, rows.max() + 1
    width, height = right - left, bottom - top
    longer = max(width, height)
    centre = ((left + right) / 2, (top + bottom) / 2)
    cut = _cut_out(image, centre, longer * (1 + MARGIN) / 2)
    colour = _straight_colour(cut)
    opaque = colour[cut[..., 3] > 0.5]
    hue, share = dominant_hue(opaque)
    webp = _webp(np.concatenate([colour, cut[..., 3:]], -1))
    red, green, blue = (round(float(value), 3) for value in opaque.mean(0))
    drawing = Drawing(
        subject=task.subject,
        look=task.look,
        offset=0,
        length=len(webp),
        hue=round(hue, 4),
        hue_share=round(share, 3),
        mean=(red, green, blue),
        extent=(round(float(width / longer), 3), round(float(height / longer), 3)),
    )
    return Sprite(webp, drawing)


def dominant_hue(colours: Floats) -> tuple[float, float]:
    """The hue, 0 to 1, that most of `colours` (n, 3), 0 to 1, are near, and the share that are; grey does not count."""
    highest, lowest = colours.max(1), colours.min(1)
    saturation = (highest - lowest) / np.maximum(highest, 1e-3)
    spread = np.maximum(highest - lowest, 1e-6)
    red, green, blue = colours.T
    sextant = np.where(
        highest == red,
        ((green - blue) / spread) % 6,
        np.where(highest == green, (blue - red) / spread + 2, (red - green) / spread + 4),
    )
    hue = sextant / 6
    weight = saturation * highest * (saturation > 0.25) * (highest > 0.2)
    counts, _ = np.histogram(hue, bins=HUES, range=(0, 1), weights=weight)
    smooth = np.convolve(np.concatenate([counts[-2:], counts, counts[:2]]), np.ones(5), "valid")
    dominant = (int(smooth.argmax()) + 0.5) / HUES
    near = np.abs((hue - dominant + 0.5) % 1 - 0.5) < 0.12
    return dominant, float(((weight > 0) & near).mean())


def _rendered(task: SpriteTask) -> Image.Image:
    import resvg_py  # here, for training needs the sprites but renders none

    try:
        png = bytes(resvg_py.svg_to_bytes(svg_string=task.svg, width=RENDERED, height=RENDERED))
    except ValueError as error:
        cause = f"The {task.look} icon of subject {task.subject} cannot be drawn: {error}."
        raise LatenttyError(Problem(code="bad_request", cause=cause, hint="Install the icon packages anew.")) from None
    return Image.open(io.BytesIO(png)).convert("RGBA")


def _cut_out(image: Image.Image, centre: tuple[float, float], half: float) -> Floats:
    """The square of 2 · `half` pixels around `centre` as premultiplied RGBA, (SIZE, SIZE, 4), 0 to 1."""
    pixels = np.asarray(image, np.float32) / np.float32(255)
    pixels[..., :3] *= pixels[..., 3:]
    box = (centre[0] - half, centre[1] - half, centre[0] + half, centre[1] + half)
    return np.clip(np.stack([_resampled(pixels[..., channel], box) for channel in range(4)], -1), 0, 1)


def _resampled(channel: Floats, box: tuple[float, float, float, float]) -> Floats:
    """What lies in `box` of one channel, (SIZE, SIZE); a box larger than that is averaged down."""
    shrinks = box[2] - box[0] > SIZE
    side = 2 * SIZE if shrinks else SIZE
    cut = Image.fromarray(channel).transform((side, side), Image.Transform.EXTENT, box, Image.Resampling.BICUBIC)
    return np.asarray(cut.resize((SIZE, SIZE), Image.Resampling.BOX) if shrinks else cut)


def _straight_colour(cut: Floats) -> Floats:
    """The colours of premultiplied `cut` (h, w, 4) without their alpha, (h, w, 3), 0 to 1."""
    alpha = cut[..., 3:]
    return np.clip(np.where(alpha > 1e-3, cut[..., :3] / np.maximum(alpha, 1e-3), 0), 0, 1)


def _webp(pixels: Floats) -> bytes:
    buffer = io.BytesIO()
    image = Image.fromarray((pixels * 255 + 0.5).astype(np.uint8))
    image.save(buffer, "WEBP", quality=94, alpha_quality=100, method=4, exact=False)
    return buffer.getvalue()
