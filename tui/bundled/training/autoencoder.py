"""Teaches the autoencoder: all of it afresh, or the decoder alone, so that latents stay what they are.

It learns from pictures drawn anew for each step, by how far pixels and their differences to their neighbours are from
what they should be, at four scales. No adversary: the pictures are drawings with clear edges.
"""

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

import numpy as np
import torch
from torch.nn import functional

from tui.bundled.training.compiling import compiled
from tui.bundled.training.compose import SIZE, Composer
from tui.bundled.training.devices import channels_last, in_bfloat16, prepared_device
from tui.bundled.training.drawing_table import invent, read_composer
from tui.bundled.training.effort import Effort
from tui.bundled.training.lesson import learn
from tui.bundled.training.parts import BUNDLED, MODEL, copy_model, load_autoencoder, new_autoencoder, save_part
from tui.bundled.training.progress_log import ProgressLog
from tui.bundled.training.spec import SpecArray

RATE: Final = 8e-4
FRESH_RATE: Final = 1e-3

BATCH: Final = 1 / 16
"""Against the denoiser's."""

PICTURES: Final = 60_000

SHOWN: Final = 96
"""Pictures that are not learned from but measured."""

SEED: Final = 910_000

NOISE: Final = 0.15
"""Deviation, at most, of the noise that the decoder is to see through: what a denoiser makes is never exact."""

DIVERGENCE_WEIGHT: Final = 1e-4
"""How much latents are drawn to a normal distribution (Kingma and Welling 2013)."""

Batch = Callable[[], torch.Tensor]
"""New pictures, (n, 3, 256, 256), -1 to 1."""


class _Pictures:
    """Pictures to learn from and some to measure with."""

    def __init__(self, data: Path, effort: Effort, device: torch.device) -> None:
        count = min(PICTURES, max(effort.pictures, 8))
        self._specs: SpecArray = invent(data, count, SEED, effort.scenes_each, effort.processes).specs
        self._composer: Composer = read_composer(data, effort.scenes_each, effort.processes, device)
        self._random = np.random.default_rng(9)
        self._shown = min(SHOWN, len(self._specs) // 2)
        self.batch = max(5, effort.part(BATCH))  # four of a batch become a collage

    def drawn(self) -> torch.Tensor:
        """A batch of those to learn from."""
        rows = self._random.integers(self._shown, len(self._specs), self.batch)
        return channels_last(self._composer.compose(self._specs[rows]) * 2 - 1)

    def shown(self) -> list[torch.Tensor]:
        """Those to measure with, in batches."""
        size = min(16, self._shown)
        return [
            channels_last(self._composer.compose(self._specs[begin : begin + size]) * 2 - 1)
            for begin in range(0, self._shown - size + 1, size)
        ]


def train_decoder(data: Path, out: Path, until: float, effort: Effort, log: ProgressLog) -> None:
    """Teach the decoder of the model in `out` on; what is worse than before is not kept.

    Raises:
        LatenttyError: the model or the data cannot be read.
    """
    device = prepared_device()
    pictures = _Pictures(data, effort, device)
    autoencoder = load_autoencoder(out / MODEL).to(device, memory_format=torch.channels_last).requires_grad_(False)
    learned = [*autoencoder.decoder.parameters(), *autoencoder.post_quant_conv.parameters()]
    for one in learned:
        one.requires_grad_(True)
    before = fidelity(autoencoder, pictures.shown())

    def error(drawn: torch.Tensor, noise: torch.Tensor) -> torch.Tensor:
        with torch.no_grad():
            latents = autoencoder.quant_conv(autoencoder.encoder(drawn))[:, :4].float()
        decoded = autoencoder.decoder(autoencoder.post_quant_conv((latents + noise).to(drawn.dtype)))
        return picture_error(decoded.float(), drawn.float())

    def loss() -> torch.Tensor:
        drawn = pictures.drawn()
        with in_bfloat16(device):
            return error(drawn, _noise(len(drawn), device))

    learn(learned, loss, rate=RATE, until=until, effort=effort, log=log, weight_decay=1e-3)
    after = fidelity(autoencoder, pictures.shown())
    log(f"{after:.2f} dB, before {before:.2f} dB")
    if after > before:
        save_part(autoencoder, out / MODEL / "vae")
    log("DECODER SAVED" if after > before else "THE OLD DECODER STAYS")


def train_autoencoder(data: Path, out: Path, until: float, effort: Effort, log: ProgressLog) -> None:
    """Teach an autoencoder afresh; `out` gets a model folder with it, whose denoiser must then be taught afresh too.

    Raises:
        LatenttyError: the data cannot be read.
    """
    device = prepared_device()
    pictures = _Pictures(data, effort, device)
    torch.manual_seed(0)
    autoencoder = new_autoencoder().to(device, memory_format=torch.channels_last).train()
    deviation = torch.ones(1, 4, 1, 1, device=device)

    def error(drawn: torch.Tensor, spread: torch.Tensor, noise: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        means, logs = autoencoder.quant_conv(autoencoder.encoder(drawn)).float().chunk(2, 1)
        logs = logs.clamp(-20, 10)
        divergence = 0.5 * (means**2 + logs.exp() - 1 - logs).mean()
        latents = means + (0.5 * logs).exp() * spread
        collaged = max(1, len(drawn) // 5)
        latents = torch.cat([latents[collaged:], _collage(latents[: 4 * collaged])]) + noise
        wanted = torch.cat([drawn[collaged:], _collage(drawn[: 4 * collaged])])
        decoded = autoencoder.decoder(autoencoder.post_quant_conv(latents.to(drawn.dtype))).float()
        return picture_error(decoded, wanted.float()) + DIVERGENCE_WEIGHT * divergence, means.detach().std((0, 2, 3))

    def loss_by(own: Callable[..., tuple[torch.Tensor, torch.Tensor]]) -> torch.Tensor:
        drawn = pictures.drawn()
        spread = torch.randn(len(drawn), 4, SIZE // 8, SIZE // 8, device=device)
        with in_bfloat16(device):
            loss, now = own(drawn, spread, _noise(len(drawn), device) * deviation)
        deviation.lerp_(now.view(1, 4, 1, 1).float(), 0.02)
        return loss

    learned = list(autoencoder.parameters())
    wanted = effort.compile and device.type == "cuda"
    fast = compiled(error, lambda own: _rehearse(loss_by(own), learned), wanted, log)
    learn(learned, lambda: loss_by(fast), rate=FRESH_RATE, until=until, effort=effort, log=log, weight_decay=1e-3)
    autoencoder.eval()
    whiten(autoencoder, torch.cat([_means(autoencoder, drawn) for drawn in pictures.shown()]))
    log(f"{fidelity(autoencoder, pictures.shown()):.2f} dB")
    save_part(autoencoder, out / MODEL / "vae")
    shutil.copyfile(BUNDLED / MODEL / "vae" / "config.json", out / MODEL / "vae" / "config.json")
    copy_model(BUNDLED / MODEL, out / MODEL)
    log("AUTOENCODER SAVED")


def picture_error(decoded: torch.Tensor, wanted: torch.Tensor) -> torch.Tensor:
    """How far `decoded` is from `wanted`, both (n, 3, h, w): pixels, and their differences at three scales."""
    total = (decoded - wanted).abs().mean()
    for _ in range(3):
        for axis in (2, 3):
            total = total + (decoded.diff(dim=axis) - wanted.diff(dim=axis)).abs().mean()
        decoded, wanted = functional.avg_pool2d(decoded, 2), functional.avg_pool2d(wanted, 2)
    return total + (decoded - wanted).abs().mean()


@torch.no_grad()
def fidelity(autoencoder: Any, batches: list[torch.Tensor]) -> float:
    """The peak signal-to-noise ratio of pictures after encoding and decoding, in decibels."""
    errors = []
    for drawn in batches:
        decoded = autoencoder.decode(_means(autoencoder, drawn)).sample
        errors.append(((decoded.clamp(-1, 1) - drawn) ** 2).mean() / 4)
    return float(-10 * torch.log10(torch.stack(errors).mean()))


@torch.no_grad()
def whiten(autoencoder: Any, latents: torch.Tensor) -> None:
    """Give every channel of latents like `latents` the mean 0 and the deviation 1, by the convolutions next to them."""
    mean, deviation = latents.mean((0, 2, 3)), latents.std((0, 2, 3))
    into, out_of = autoencoder.quant_conv, autoencoder.post_quant_conv
    into.weight[:4] /= deviation[:, None, None, None]
    into.bias[:4] = (into.bias[:4] - mean) / deviation
    into.bias[4:] -= 2 * deviation.log()
    out_of.bias += out_of.weight[:, :, 0, 0] @ mean
    out_of.weight *= deviation[None, :, None, None]


@torch.no_grad()
def _means(autoencoder: Any, drawn: torch.Tensor) -> torch.Tensor:
    encoded: torch.Tensor = autoencoder.quant_conv(autoencoder.encoder(drawn))
    return encoded[:, :4].float()


def _collage(some: torch.Tensor) -> torch.Tensor:
    """Four at a time, at half their size, as one, so that finer details are learned: (4n, c, h, w) to (n, c, h, w)."""
    half = functional.avg_pool2d(some, 2)
    left, right = torch.cat([half[0::4], half[1::4]], 2), torch.cat([half[2::4], half[3::4]], 2)
    return torch.cat([left, right], 3)


def _noise(count: int, device: torch.device) -> torch.Tensor:
    """Of another strength for each picture, (count, 4, 32, 32)."""
    strength = torch.rand(count, 1, 1, 1, device=device) * NOISE
    return torch.randn(count, 4, SIZE // 8, SIZE // 8, device=device) * strength


def _rehearse(loss: torch.Tensor, learned: list[torch.nn.Parameter]) -> None:
    torch.autograd.backward(loss)
    for one in learned:
        one.grad = None
