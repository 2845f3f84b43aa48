"""How each family's latents lie where the scheduler sees them, and how they become what its VAE would decode."""

from collections.abc import Callable
from typing import Any, Final

import torch

Unpack = Callable[[torch.Tensor, Any, int, int], torch.Tensor]
"""(latents of one picture without the batch, the pipeline, width, height in pixels) -> (channels, h, w)."""


def _grid(latents: torch.Tensor, pipeline: Any, width: int, height: int) -> torch.Tensor:
    """(channels, h, w), scaled and shifted by the VAE's two numbers."""
    config = pipeline.vae.config
    return latents / float(config.scaling_factor) + float(getattr(config, "shift_factor", None) or 0.0)


LAYOUTS: Final[dict[str, Unpack]] = {"grid": _grid}
"""By the name in :attr:`tui.library.families.family.Family.latents`."""


def raw_latents(layout: str, sample: torch.Tensor, pipeline: Any, width: int, height: int) -> torch.Tensor:
    """The first picture of `sample`, as the scheduler sees it, in the VAE's own latent space: (channels, h, w)."""
    return LAYOUTS[layout](sample[0].float(), pipeline, width, height)
