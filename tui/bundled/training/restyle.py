"""Pictures drawn in another style, of which a LoRA learns to draw all others."""

import math
from collections.abc import Callable
from typing import Final

import torch
from torch.nn import functional

BLOCK: Final = 16
"""Pixels along a side of what pixel art draws in one colour."""

SHADES: Final = 7
"""Steps of each channel's scale in pixel art."""

PAPER: Final = (0.97, 0.945, 0.89)
GRAPHITE: Final = (0.20, 0.20, 0.25)

HATCHES: Final = 26
"""Lines of hatching along a side."""

Restyle = Callable[[torch.Tensor], torch.Tensor]
"""Of pictures (n, 3, h, w), 0 to 1, the same ones in another style."""


def pixelated(pictures: torch.Tensor) -> torch.Tensor:
    """`pictures` in squares of few colours."""
    small = functional.avg_pool2d(pictures, BLOCK)
    large = functional.interpolate(small, scale_factor=float(BLOCK), mode="nearest")
    return (large * SHADES).round() / SHADES


def sketched(pictures: torch.Tensor) -> torch.Tensor:
    """`pictures` drawn in pencil on paper: contours where brightness or colour changes, dark parts hatched."""
    grey = _blurred(_grey(pictures), 1)
    shade = 1 - _blurred(grey, 2)
    lines = (_contours(pictures) * 3.2).clamp(0, 1)
    one, other = _hatching(grey, math.pi / 4), _hatching(grey, -math.pi / 4)
    hatching = one * ((shade - 0.22) * 2.2).clamp(0, 0.65) + other * ((shade - 0.55) * 2.2).clamp(0, 0.65)
    pencil = (lines + hatching * (1 - lines)).clamp(0, 1)
    paper, graphite = (torch.tensor(one, device=pictures.device)[:, None, None] for one in (PAPER, GRAPHITE))
    return paper * (1 - pencil) + graphite * pencil


STYLES: Final[dict[str, tuple[Restyle, str]]] = {
    "pixel": (pixelated, "pixel art"),
    "sketch": (sketched, "pencil sketch"),
}
"""How each style is drawn, and the words that captions of it end with."""


def _grey(pictures: torch.Tensor) -> torch.Tensor:
    weights = torch.tensor([0.299, 0.587, 0.114], device=pictures.device)
    return (pictures * weights[:, None, None]).sum(1, keepdim=True)


def _blurred(pictures: torch.Tensor, reach: int) -> torch.Tensor:
    """Each pixel as the mean of those up to `reach` away."""
    padded = functional.pad(pictures, (reach,) * 4, mode="replicate")
    return functional.avg_pool2d(padded, 2 * reach + 1, 1)


def _contours(pictures: torch.Tensor) -> torch.Tensor:
    """How much each pixel differs from those around it, in any channel, (n, 1, h, w)."""
    soft = _blurred(pictures, 1)
    across = (soft[..., :, 2:] - soft[..., :, :-2]).abs()
    down = (soft[..., 2:, :] - soft[..., :-2, :]).abs()
    both = functional.pad(across, (1, 1, 0, 0)) + functional.pad(down, (0, 0, 1, 1))
    return (both.amax(1, keepdim=True) - 0.04).clamp(min=0)


def _hatching(like: torch.Tensor, angle: float) -> torch.Tensor:
    """Thin lines at `angle`, (1, 1, h, w), 0 to 1."""
    height, width = like.shape[2:]
    down = torch.arange(height, device=like.device)[:, None] / height
    across = torch.arange(width, device=like.device)[None] / width
    along = across * math.cos(angle) + down * math.sin(angle)
    return ((along * HATCHES * 2 * math.pi).cos() * 1.6 - 0.35).clamp(0, 1)[None, None]
