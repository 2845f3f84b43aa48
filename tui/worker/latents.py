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


def _sana_sprint(latents: torch.Tensor, pipeline: Any, width: int, height: int) -> torch.Tensor:
    """As on a grid, times the deviation that the scheduler gives the data."""
    return _grid(latents / float(pipeline.scheduler.config.sigma_data), pipeline, width, height)


def _flux(latents: torch.Tensor, pipeline: Any, width: int, height: int) -> torch.Tensor:
    """Tokens of 2×2 latents each, (h/2 · w/2, 4 · channels), scaled and shifted as on a grid."""
    return _grid(_from_tokens(latents, pipeline, width, height), pipeline, width, height)


def _qwen_image(latents: torch.Tensor, pipeline: Any, width: int, height: int) -> torch.Tensor:
    """Tokens as FLUX.1 has them, each channel with a mean and a deviation of its own."""
    return _by_channel(_from_tokens(latents, pipeline, width, height), pipeline)


def _qwen_image_later(latents: torch.Tensor, pipeline: Any, width: int, height: int) -> torch.Tensor:
    """The same, but a token for each latent: (h · w, channels)."""
    step = int(pipeline.vae_scale_factor)
    return _by_channel(latents.T.reshape(-1, height // step, width // step), pipeline)


def _by_channel(grid: torch.Tensor, pipeline: Any) -> torch.Tensor:
    """`grid` (channels, h, w) with the mean and the deviation that the VAE has for each channel."""
    config = pipeline.vae.config
    mean, deviation = (torch.tensor(values)[:, None, None] for values in (config.latents_mean, config.latents_std))
    return grid * deviation.to(grid) + mean.to(grid)


def _flux2(latents: torch.Tensor, pipeline: Any, width: int, height: int) -> torch.Tensor:
    """Tokens of 2×2 latents each, normalised as the VAE's own batch normalisation says."""
    return _from_tokens(_by_batch_norm(latents, pipeline), pipeline, width, height)


def _ideogram(latents: torch.Tensor, pipeline: Any, width: int, height: int) -> torch.Tensor:
    """As FLUX.2 has them, the channels of each token last."""
    patches = _by_batch_norm(latents, pipeline).reshape(len(latents), 4, -1)
    return _from_tokens(patches.transpose(-1, -2).flatten(-2), pipeline, width, height)


def _by_batch_norm(tokens: torch.Tensor, pipeline: Any) -> torch.Tensor:
    norm, config = pipeline.vae.bn, pipeline.vae.config
    deviation = torch.sqrt(norm.running_var + config.batch_norm_eps)
    scaled: torch.Tensor = tokens * deviation.to(tokens) + norm.running_mean.to(tokens)
    return scaled


def _channels(latents: torch.Tensor, pipeline: Any, width: int, height: int) -> torch.Tensor:
    """(channels, h, w), each channel with a mean and a deviation of its own."""
    return _by_channel(latents, pipeline)


def _from_tokens(tokens: torch.Tensor, pipeline: Any, width: int, height: int) -> torch.Tensor:
    """(h/2 · w/2, 4 · channels) as (channels, h, w)."""
    step = int(pipeline.vae_scale_factor) * 2
    rows, columns = height // step, width // step
    patches = tokens.reshape(rows, columns, -1, 2, 2)
    return patches.permute(2, 0, 3, 1, 4).reshape(-1, rows * 2, columns * 2)


LAYOUTS: Final[dict[str, Unpack]] = {
    "grid": _grid,
    "sana-sprint": _sana_sprint,
    "flux": _flux,
    "flux2": _flux2,
    "channels": _channels,
    "ideogram": _ideogram,
    "qwen-image": _qwen_image,
    "qwen-image-2.1": _qwen_image_later,
}
"""By the name in :attr:`tui.library.families.family.Family.latents`."""


def raw_latents(layout: str, sample: torch.Tensor, pipeline: Any, width: int, height: int) -> torch.Tensor:
    """The first picture of `sample`, as the scheduler sees it, in the VAE's own latent space: (channels, h, w)."""
    return LAYOUTS[layout](sample[0].float(), pipeline, width, height)
