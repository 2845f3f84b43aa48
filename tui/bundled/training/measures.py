"""What a picture's pixels tell: the colour behind its subject, the subject's own, how many things there are.

Pictures are sRGB arrays, (height, width, 3), 0 to 255.
"""

from collections.abc import Iterable, Mapping
from typing import Final

import cv2
import numpy as np
import numpy.typing as npt

from tui.bundled.training.vocabulary import vocabulary

BORDER: Final = 6
"""Pixels along the edges by which the background is known."""

DIFFERS: Final = 40
"""How far, of 255, a pixel's channel is from the background where something is drawn."""

THING: Final = 250
"""Pixels that make a thing; fewer are a speck."""

HUES: Final = 36
"""Steps of the histogram that finds the dominant hue."""

Bytes = npt.NDArray[np.uint8]
Mask = npt.NDArray[np.bool_]


def background_of(picture: Bytes) -> npt.NDArray[np.float64]:
    """The median colour along the edges, (3,), 0 to 255."""
    edges = (picture[:BORDER], picture[-BORDER:], picture[:, :BORDER], picture[:, -BORDER:])
    return np.asarray(np.median(np.concatenate([edge.reshape(-1, 3) for edge in edges]), 0))


def is_drawn(picture: Bytes) -> Mask:
    """Which pixels are not background, (height, width)."""
    return np.asarray(np.abs(picture - background_of(picture)).max(2) > DIFFERS)


def nearest_background(picture: Bytes, names: Iterable[str]) -> str:
    """Which of the colours `names` the background is nearest to."""
    background, colours = background_of(picture), vocabulary().colours
    return min(names, key=lambda name: float(np.abs(background - np.array(colours[name].rgb)).sum()))


def nearest_subject_hue(picture: Bytes, hues: Mapping[str, float]) -> str:
    """Which of `hues`, 0 to 1, most of what is drawn is nearest to."""
    dominant = _dominant_hue(picture[is_drawn(picture)])
    return min(hues, key=lambda name: abs((hues[name] - dominant + 0.5) % 1 - 0.5))


def count_things(picture: Bytes) -> int:
    """How many things are drawn that do not touch each other."""
    closed = cv2.morphologyEx(is_drawn(picture).astype(np.uint8), cv2.MORPH_CLOSE, _cross(), iterations=2)
    return sum(size > THING for size in _part_sizes(np.asarray(closed, np.uint8))[1])


def bounds(picture: Bytes, margin: int = 8) -> tuple[int, int, int, int]:
    """Left, top, right and bottom of what is drawn on near-white; all of the picture where nothing is.

    The outer `margin` pixels and specks do not count.
    """
    drawn = np.abs(picture.astype(int) - 252).max(2) > 30
    inner = np.zeros_like(drawn)
    inner[margin:-margin, margin:-margin] = drawn[margin:-margin, margin:-margin]
    grown = cv2.dilate(inner.astype(np.uint8), _cross(), iterations=3)
    labels, sizes = _part_sizes(np.asarray(grown, np.uint8))
    kept = [number for number, size in enumerate(sizes, 1) if size > 120]
    rows, columns = np.where(inner & np.isin(labels, kept))
    if not len(rows):
        return 0, 0, picture.shape[1], picture.shape[0]
    return int(columns.min()), int(rows.min()), int(columns.max()) + 1, int(rows.max()) + 1


def difference(one: Bytes, other: Bytes) -> float:
    """The mean difference of two pictures of one size, 0 to 255."""
    return float(np.abs(one.astype(int) - other).mean())


def _dominant_hue(colours: Bytes) -> float:
    """The hue, 0 to 1, that most of `colours` (n, 3) have, by saturation; grey and dark ones do not count."""
    scaled = colours / 255
    highest, lowest = scaled.max(1, initial=0), scaled.min(1, initial=1)
    spread = np.maximum(highest - lowest, 1e-6)
    red, green, blue = scaled.T
    hue = np.select(
        [highest == red, highest == green],
        [((green - blue) / spread) % 6, (blue - red) / spread + 2],
        (red - green) / spread + 4,
    )
    saturation = (highest - lowest) / np.maximum(highest, 1e-6)
    counted = (saturation > 0.3) & (highest > 0.2)
    counts, _ = np.histogram(hue[counted] / 6, HUES, (0, 1), weights=saturation[counted])
    smooth = np.convolve(np.concatenate([counts[-1:], counts, counts[:1]]), [1, 1, 1], "valid")
    return (float(smooth.argmax()) + 0.5) / HUES


def _part_sizes(mask: Bytes) -> tuple[npt.NDArray[np.int32], list[int]]:
    """The number of the connected part that each pixel is of, 0 for none, and the pixels of each part from 1 on."""
    _, labels, statistics, _ = cv2.connectedComponentsWithStats(mask, connectivity=4)
    return labels.astype(np.int32), statistics[1:, cv2.CC_STAT_AREA].tolist()


def _cross() -> Bytes:
    return cv2.getStructuringElement(cv2.MORPH_CROSS, (3, 3)).astype(np.uint8)
