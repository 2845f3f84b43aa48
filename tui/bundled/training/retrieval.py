"""Which of all drawings a picture looks most like, by the pixels of what is cut out of it."""

from collections.abc import Sequence
from pathlib import Path
from typing import Final

import numpy as np
import numpy.typing as npt
from PIL import Image

from tui.bundled.training.catalogue import Catalogue, Look
from tui.bundled.training.measures import Bytes, bounds
from tui.bundled.training.sprites import read_sprites

EDGE: Final = 24
"""Pixels along a side of what is compared."""

ASPECT_WEIGHT: Final = 6.0
"""How much the logarithm of width by height counts beside the pixels."""

VISIBLE: Final = 40
"""Alpha, of 255, above which a drawing's pixel counts for its bounds."""

Features = npt.NDArray[np.float64]


class Gallery:
    """Every drawing of `catalogue`, on white and as its mirror image."""

    def __init__(self, folder: Path, catalogue: Catalogue, processes: int = 1) -> None:
        features = [
            one for sprite in read_sprites(folder, catalogue, processes) for one in _of_sprite(Image.fromarray(sprite))
        ]
        self._features = np.stack(features)
        self._subjects = np.repeat([drawing.subject for drawing in catalogue.drawings], 2)
        self._looks = np.repeat([drawing.look for drawing in catalogue.drawings], 2)
        self.subjects: Final = len(set(self._subjects.tolist()))
        """How many subjects there are to be mistaken for."""

    def rank(self, picture: Bytes, subject: int) -> int:
        """How many other subjects `picture`, one thing on white, looks more like than `subject`."""
        nearest = np.full(int(self._subjects.max()) + 1, np.inf)
        np.minimum.at(nearest, self._subjects, self._distances(picture))
        return int((nearest < nearest[subject]).sum())

    def nearest_look(self, picture: Bytes, subject: int) -> Look:
        """In which of its looks `subject` is most like `picture`."""
        distances = np.where(self._subjects == subject, self._distances(picture), np.inf)
        look: Look = self._looks[distances.argmin()].item()
        return look

    def _distances(self, picture: Bytes) -> Features:
        cut = Image.fromarray(picture).crop(bounds(picture))
        return np.asarray(((self._features - _features(_small(cut), cut.size)) ** 2).sum(1))


def halves(picture: Bytes) -> Sequence[Bytes]:
    """Left and right half of `picture`."""
    middle = picture.shape[1] // 2
    return picture[:, :middle], picture[:, middle:]


def _of_sprite(sprite: Image.Image) -> tuple[Features, Features]:
    """Of a sprite and of its mirror image."""
    canvas = Image.new("RGBA", sprite.size, "white")
    canvas.alpha_composite(sprite)
    cut = canvas.convert("RGB").crop(Image.fromarray(np.asarray(sprite)[..., 3] > VISIBLE).getbbox())
    small = _small(cut)
    return _features(small, cut.size), _features(small[:, ::-1], cut.size)


def _small(cut: Image.Image) -> npt.NDArray[np.float32]:
    """(EDGE, EDGE, 3), 0 to 1."""
    return np.asarray(cut.resize((EDGE, EDGE), Image.Resampling.BOX), np.float32) / np.float32(255)


def _features(small: npt.NDArray[np.float32], size: tuple[int, int]) -> Features:
    """The pixels and the aspect ratio of what was of `size`, (3 · EDGE² + 1,)."""
    return np.append(small.ravel(), ASPECT_WEIGHT * np.log(size[0] / size[1]))
