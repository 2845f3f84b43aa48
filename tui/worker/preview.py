"""The picture as it forms: the current estimate of the clean latents, mapped to RGB by one small matrix.

The matrix is not a table: it is fitted to the model's own VAE, by encoding a mosaic of colours and solving for the
linear map from latents to the mosaic's colours. So every VAE has one, whoever trained it.
"""

from dataclasses import dataclass
from typing import Any, Final

import torch

TILES: Final = 32
"""Latents along a side of the picture that is encoded to fit the matrix: more than any VAE has channels, squared."""


@dataclass(frozen=True)
class LatentToRgb:
    """`rgb = latents · matrix + bias`, for latents (channels, h, w) in the VAE's own space."""

    matrix: torch.Tensor
    """(channels, 3)"""
    bias: torch.Tensor
    """(3,), for colours from 0 to 1."""

    @classmethod
    @torch.no_grad()
    def fit(cls, vae: Any) -> "LatentToRgb":
        """The map for `vae`, by least squares."""
        picture = _mosaic(TILES * pixels_per_latent(vae)).to(device=vae.device, dtype=vae.dtype)
        latents = _encoded(vae, picture[None] * 2 - 1).float().cpu()
        _, height, width = latents.shape
        colours = torch.nn.functional.adaptive_avg_pool2d(picture.float().cpu(), (height, width))
        known = torch.cat([latents.flatten(1).T, torch.ones(latents[0].numel(), 1)], dim=1)
        solution = torch.linalg.lstsq(known, colours.flatten(1).T).solution
        return cls(matrix=solution[:-1], bias=solution[-1])

    def __call__(self, latents: torch.Tensor) -> torch.Tensor:
        """RGB bytes, shape (h, w, 3), of latents (channels, h, w), on their device; nothing is waited for."""
        matrix, bias = self.matrix.to(latents.device), self.bias.to(latents.device)
        colours = torch.einsum("chw,cr->hwr", latents.float(), matrix) + bias
        return (colours.clamp(0, 1) * 255).round().to(torch.uint8)


def _encoded(vae: Any, picture: torch.Tensor) -> torch.Tensor:
    """The latents (channels, h, w) of `picture` (1, 3, h, w): from a distribution, a video VAE, or a plain one."""
    if getattr(vae.config, "in_channels", 3) == 4:  # with transparency, which the mosaic has none of
        picture = torch.cat([picture, torch.ones_like(picture[:, :1])], dim=1)
    video = len(getattr(vae.config, "temperal_downsample", ())) > 0
    encoded = vae.encode(picture[:, :, None] if video else picture)
    latents: torch.Tensor = encoded.latent_dist.mode() if hasattr(encoded, "latent_dist") else encoded.latent
    return latents[0, :, 0] if video else latents[0]


def pixels_per_latent(vae: Any) -> int:
    """How many pixels of a side one latent stands for."""
    ratio = getattr(vae, "spatial_compression_ratio", None)
    if ratio is not None:
        return int(ratio)
    steps = getattr(vae.config, "temperal_downsample", None) or vae.config.block_out_channels[1:]
    return int(2 ** len(steps))


def _mosaic(side: int) -> torch.Tensor:
    """Patches of random colours over a gradient, shape (3, side, side), from 0 to 1; always the same."""
    generator = torch.Generator().manual_seed(0)
    ramp = torch.linspace(0, 1, side)
    across, down = ramp.expand(side, side), ramp[:, None].expand(side, side)
    picture = torch.stack([across, down, 1 - across])
    corners = torch.randint(0, side, (160, 2), generator=generator)
    sizes = torch.randint(side // 20, side // 4, (160, 2), generator=generator)
    colours = torch.rand(160, 3, generator=generator)
    for (top, left), (height, width), colour in zip(corners, sizes, colours, strict=True):
        picture[:, top : top + height, left : left + width] = colour[:, None, None]
    return picture


def denoised(scheduler: Any, output: torch.Tensor, timestep: torch.Tensor, sample: torch.Tensor) -> torch.Tensor:
    """The clean latents that one prediction points at, before `scheduler` takes its step.

    For betas see Ho et al. 2020 (epsilon) and Salimans and Ho 2022 (v); sigmas as in Karras et al. 2022; flows as in
    Liu et al. 2022, those on a circle as in Lu and Song 2024.
    """
    config = scheduler.config
    kind = config.get("prediction_type", "flow_prediction")
    if kind == "flow_prediction":
        clean: torch.Tensor = sample - _sigma(scheduler, timestep) * output
        return clean
    if kind == "trigflow":
        angle = torch.as_tensor(timestep)
        return angle.cos() * sample - angle.sin() * output
    # as tensors, for reading a number from a GPU waits for all that it computes
    alphas: torch.Tensor = scheduler.alphas_cumprod.to(sample.device)
    alpha = alphas[torch.as_tensor(timestep, device=sample.device).round().long().clamp(0, len(alphas) - 1)]
    signal, noise = alpha.sqrt(), (1 - alpha).sqrt()
    if float(scheduler.init_noise_sigma) > 1:
        sample = sample * signal  # this kind keeps the clean latents at full size and the noise growing
    match kind:
        case "epsilon":
            return (sample - noise * output) / signal
        case "v_prediction":
            return signal * sample - noise * output
        case _:
            return output


def _sigma(scheduler: Any, timestep: torch.Tensor) -> float:
    """How much noise the step at `timestep` begins with, from 0 to 1."""
    index = scheduler.step_index
    return float(scheduler.sigmas[scheduler.index_for_timestep(timestep) if index is None else index])
