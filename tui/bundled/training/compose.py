"""Turns specs into pictures, many at a time, on a GPU or a CPU."""

import math
from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt
import torch
from torch.nn import functional

from tui.bundled.training.catalogue import Catalogue
from tui.bundled.training.recolour import recolour
from tui.bundled.training.spec import MAX_SPRITES, PATTERNS, SpecArray

SIZE: Final = 256
"""Pixels along a side of a picture."""

LARGE: Final = 154
"""Pixels along a side from which on the whole sprite is used; below it a copy of half the size, which shimmers less."""

Bytes = npt.NDArray[np.uint8]

Fields = dict[str, torch.Tensor]
"""The fields of a spec array as tensors of (n,) or (n, k), whole numbers as int64."""


@dataclass(frozen=True)
class Canvas:
    """Where the pixels of a picture lie: its shorter side spans 0 to 1, its longer one more, as much at both ends."""

    x: torch.Tensor
    """(1, height, width)"""
    y: torch.Tensor
    """(1, height, width)"""

    @classmethod
    def of_size(cls, height: int, width: int, device: torch.device) -> "Canvas":
        """A canvas of `height` × `width` pixels."""
        side = min(height, width)
        rows, columns = (
            (torch.arange(pixels, device=device) + 0.5 - pixels / 2) / side + 0.5 for pixels in (height, width)
        )
        y, x = torch.meshgrid(rows, columns, indexing="ij")
        return cls(x[None], y[None])

    @property
    def height(self) -> int:
        """In pixels."""
        return self.x.shape[1]

    @property
    def width(self) -> int:
        """In pixels."""
        return self.x.shape[2]


class Composer:
    """Pictures of the sprites, before backgrounds of their own or of the bank.

    Args:
        sprites: straight RGBA, (drawings, 256, 256, 4), 0 to 255.
        catalogue: what the sprites are.
        bank: the scenes, (n, 256, 256, 3), 0 to 255.
        device: where pictures are made.
    """

    def __init__(
        self,
        sprites: Bytes,
        catalogue: Catalogue,
        bank: Bytes,
        device: torch.device | str,
    ) -> None:
        self._device = torch.device(device)
        self._large = torch.from_numpy(sprites).permute(0, 3, 1, 2).contiguous().to(self._device)
        self._small = torch.cat([_halved(some) for some in torch.split(self._large, 256)])
        self._hues = torch.tensor([drawing.hue for drawing in catalogue.drawings], device=self._device)
        self._bank = torch.from_numpy(bank).to(self._device)

    @torch.no_grad()
    def compose(self, specs: SpecArray, height: int = SIZE, width: int = SIZE) -> torch.Tensor:
        """The pictures of `specs` (n,), sRGB, (n, 3, height, width), 0 to 1."""
        fields = self._fields(specs)
        canvas = Canvas.of_size(height, width, self._device)
        pictures = self._backgrounds(canvas, fields)
        for place in range(MAX_SPRITES):
            rows = (fields["drawing"][:, place] >= 0).nonzero()[:, 0]
            if len(rows):
                self._add_sprites(canvas, pictures, rows, _of_place(fields, rows, place))
        return pictures.clamp(0, 1)

    def _fields(self, specs: SpecArray) -> Fields:
        return {
            name: torch.from_numpy(
                np.ascontiguousarray(specs[name]).astype(np.float32 if specs[name].dtype.kind == "f" else np.int64)
            ).to(self._device)
            for name in specs.dtype.names or ()
        }

    def _backgrounds(self, canvas: Canvas, fields: Fields) -> torch.Tensor:
        """(n, 3, height, width)"""
        pattern = fields["pattern"]
        share = _share_of_second(canvas, pattern, fields["angle"], fields["frequency"])[:, None]
        pictures = fields["first"][:, :, None, None] * (1 - share) + fields["second"][:, :, None, None] * share
        scenes = (pattern == PATTERNS.index("scene")).nonzero()[:, 0]
        if len(scenes):
            pictures[scenes] = _scenes_on(canvas, self._bank[fields["scene"][scenes]])
        return pictures

    def _add_sprites(self, canvas: Canvas, pictures: torch.Tensor, rows: torch.Tensor, sprites: Fields) -> None:
        """Draw one sprite, and its shadow below it, into each of `rows` of `pictures`."""
        _add_shadows(canvas, pictures, rows, sprites)
        layers = self._layers(canvas, sprites)
        tinted = (sprites["tint"] > 0).nonzero()[:, 0]
        if len(tinted):
            hues = self._hues[sprites["drawing"][tinted]]
            layers[tinted] = recolour(layers[tinted], hues, sprites["tint"][tinted], sprites["hue"][tinted])
        pictures[rows] = pictures[rows] * (1 - layers[:, 3:]) + layers[:, :3]

    def _layers(self, canvas: Canvas, sprites: Fields) -> torch.Tensor:
        """Each sprite in its place on nothing, premultiplied RGBA, (n, 4, height, width), 0 to 1."""
        grid = _sampling_grid(canvas, sprites)
        layers = torch.empty(len(grid), 4, canvas.height, canvas.width, device=self._device)
        is_large = sprites["size"] * min(canvas.height, canvas.width) >= LARGE
        for source, chosen in ((self._large, is_large), (self._small, ~is_large)):
            some = chosen.nonzero()[:, 0]
            if not len(some):
                continue
            texture = source[sprites["drawing"][some]].float() / 255
            if source is self._large:
                texture[:, :3] *= texture[:, 3:]
            layers[some] = functional.grid_sample(
                texture, grid[some], mode="bilinear", padding_mode="zeros", align_corners=False
            )
        return layers


def _share_of_second(
    canvas: Canvas, pattern: torch.Tensor, angle: torch.Tensor, frequency: torch.Tensor
) -> torch.Tensor:
    """How much each pixel has of the second colour, (n, height, width), 0 to 1."""
    x, y = canvas.x, canvas.y
    pattern, angle, frequency = (_as_maps(one) for one in (pattern, angle, frequency))
    along = (x - 0.5) * angle.cos() + (y - 0.5) * angle.sin()
    across_x, across_y = (x * frequency) % 1 - 0.5, (y * frequency) % 1 - 0.5
    distance = (across_x * across_x + across_y * across_y).sqrt()
    shares = {
        "gradient": (along / (angle.cos().abs() + angle.sin().abs()) + 0.5).clamp(0, 1),
        "stripes": ((along * frequency * 2 * math.pi).sin() * 6 + 0.5).clamp(0, 1),
        "dots": ((0.27 - distance) * 256 / frequency.clamp(min=1) / 1.5 + 0.5).clamp(0, 1),
        "checkers": ((x * frequency).floor() + (y * frequency).floor()) % 2,
    }
    share = torch.zeros_like(along)
    for number, name in enumerate(PATTERNS):
        if name in shares:
            share = torch.where(pattern == number, shares[name], share)
    return share


def _scenes_on(canvas: Canvas, scenes: torch.Tensor) -> torch.Tensor:
    """Bytes of the bank (n, 256, 256, 3) as (n, 3, height, width), 0 to 1; mirrored where they end too soon."""
    pictures = scenes.permute(0, 3, 1, 2).float() / 255
    if (canvas.height, canvas.width) == (SIZE, SIZE):
        return pictures
    grid = torch.stack([canvas.x, canvas.y], -1).expand(len(pictures), -1, -1, -1) * 2 - 1
    return functional.grid_sample(pictures, grid, mode="bilinear", padding_mode="reflection", align_corners=False)


def _add_shadows(canvas: Canvas, pictures: torch.Tensor, rows: torch.Tensor, sprites: Fields) -> None:
    dark = (sprites["shadow"] > 0).nonzero()[:, 0]
    if not len(dark):
        return
    x, y, size, shadow = (_as_maps(sprites[name][dark]) for name in ("x", "y", "size", "shadow"))
    across = (canvas.x - x) / (size * 0.42)
    down = (canvas.y - (y + size * 0.47)) / (size * 0.09)
    strength = (1.6 - (across * across + down * down)).clamp(0, 1)
    pictures[rows[dark]] *= 1 - shadow[:, None] * strength[:, None]


def _sampling_grid(canvas: Canvas, sprites: Fields) -> torch.Tensor:
    """Where each pixel lies in its sprite, (n, height, width, 2), -1 to 1 inside it."""
    x, y, size, turn = (_as_maps(sprites[name]) for name in ("x", "y", "size", "turn"))
    across, down = (canvas.x - x) / size, (canvas.y - y) / size
    cos, sin = turn.cos(), turn.sin()
    grid_x, grid_y = (cos * across + sin * down) * 2, (-sin * across + cos * down) * 2
    return torch.stack([grid_x * _as_maps(1 - 2 * sprites["flipped"].float()), grid_y], -1)


def _of_place(fields: Fields, rows: torch.Tensor, place: int) -> Fields:
    """The fields of the sprites in `place` of `rows`, each (n,)."""
    names = ("drawing", "x", "y", "size", "turn", "flipped", "shadow", "tint", "hue")
    return {name: fields[name][rows, place] for name in names}


def _as_maps(values: torch.Tensor) -> torch.Tensor:
    """(n,) as (n, 1, 1)."""
    return values[:, None, None]


def _halved(sprites: torch.Tensor) -> torch.Tensor:
    """Straight RGBA bytes (n, 4, s, s) as premultiplied ones of half the size."""
    floats = sprites.float() / 255
    floats[:, :3] *= floats[:, 3:]
    return (functional.avg_pool2d(floats, 2) * 255).round().byte()
