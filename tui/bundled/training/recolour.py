"""Gives the parts of a drawing that have its dominant hue another colour, shades kept."""

from typing import Final

import torch

from tui.bundled.training.spec import TINTS, Tint

SATURATION: Final[dict[Tint, tuple[float, float]]] = {
    "black": (0.3, 0),
    "white": (0.10, 0),
    "gray": (0.06, 0),
    "brown": (0.2, 0.55),
    "golden": (0.3, 0.55),
    "hue": (1.05, 0),
}
"""What a tint makes of saturation: factor and offset."""

VALUE: Final[dict[Tint, float]] = {"black": 0.24, "gray": 0.72, "brown": 0.62, "golden": 1.02, "hue": 1}
"""By what a tint multiplies the value; white lifts it instead."""


def recolour(sprites: torch.Tensor, dominant: torch.Tensor, tint: torch.Tensor, hue: torch.Tensor) -> torch.Tensor:
    """Premultiplied RGBA `sprites` (n, 4, h, w), 0 to 1, with the parts near the hue `dominant` (n,) tinted.

    Args:
        sprites: what to recolour.
        dominant: each one's own hue, 0 to 1.
        tint: each one's place in `TINTS`.
        hue: what its hue becomes, 0 to 1.
    """
    alpha = sprites[:, 3:]
    colours = (sprites[:, :3] / alpha.clamp(min=1e-3)).clamp(0, 1)
    own_hue, saturation, value = hue_saturation_value(colours)
    offset = (own_hue - dominant[:, None, None] + 0.5) % 1 - 0.5
    share = ((0.19 - offset.abs()) / 0.05).clamp(0, 1) * ((saturation - 0.10) / 0.12).clamp(0, 1)
    tints = tint[:, None, None]
    new_hue = (hue[:, None, None] + offset * 0.4) % 1
    tinted = _from_hsv(new_hue, _new_saturation(saturation, tints), _new_value(value, tints))
    share = share[:, None]
    return torch.cat([(colours * (1 - share) + tinted * share) * alpha, alpha], 1)


def hue_saturation_value(colours: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """The HSV of `colours` (n, 3, h, w), 0 to 1: three of (n, h, w), 0 to 1."""
    highest, lowest = colours.amax(1), colours.amin(1)
    spread = (highest - lowest).clamp(min=1e-5)
    red, green, blue = colours.unbind(1)
    sextant = torch.where(
        highest == red,
        ((green - blue) / spread) % 6,
        torch.where(highest == green, (blue - red) / spread + 2, (red - green) / spread + 4),
    )
    return sextant / 6, (highest - lowest) / highest.clamp(min=1e-5), highest


def _from_hsv(hue: torch.Tensor, saturation: torch.Tensor, value: torch.Tensor) -> torch.Tensor:
    """Three of (n, h, w), 0 to 1, as RGB, (n, 3, h, w)."""
    sextants = torch.stack([(5 + hue * 6) % 6, (3 + hue * 6) % 6, (1 + hue * 6) % 6], 1)
    missing = torch.minimum(sextants, 4 - sextants).clamp(0, 1)
    return value[:, None] - value[:, None] * saturation[:, None] * missing


def _new_saturation(saturation: torch.Tensor, tints: torch.Tensor) -> torch.Tensor:
    new = saturation
    for tint, (factor, offset) in SATURATION.items():
        new = torch.where(tints == TINTS.index(tint), (offset + factor * saturation).clamp(0, 1), new)
    return new


def _new_value(value: torch.Tensor, tints: torch.Tensor) -> torch.Tensor:
    new = torch.where(tints == TINTS.index("white"), 1 - (1 - value) * 0.45, value)
    for tint, factor in VALUE.items():
        new = torch.where(tints == TINTS.index(tint), (value * factor).clamp(0, 1), new)
    return new
