"""Pictures as the autoencoder encodes them, with the tokens of their captions: what all but the decoder learns from."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import torch

from tui.bundled.training.devices import channels_last, in_bfloat16
from tui.bundled.training.parts import frozen, load_autoencoder
from tui.bundled.training.tokenizer import FOLDER, encode, read_tokenizer
from tui.protocol.problem import LatenttyError, Problem

DEVIATIONS: Final = (0.6, 1.6)
"""Between these the deviation of latents lies, if the autoencoder is sound."""

Encode = Callable[[torch.Tensor], torch.Tensor]
"""Latents (n, 4, h / 8, w / 8) of pictures (n, 3, h, w), 0 to 1."""


@dataclass(frozen=True)
class Latents:
    """Encoded pictures of one size, on one device."""

    latents: torch.Tensor
    """(n, 4, height / 8, width / 8), float16"""
    tokens: torch.Tensor
    """(n, captions, LENGTH), int16"""

    def __len__(self) -> int:
        return len(self.latents)

    def part(self, begin: int, end: int) -> "Latents":
        """Those from `begin` to `end`."""
        return Latents(self.latents[begin:end], self.tokens[begin:end])

    def rows(self, count: int) -> torch.Tensor:
        """Random places, (count,)."""
        return torch.randint(0, len(self), (count,), device=self.latents.device)

    def captions(self, rows: torch.Tensor, empty: torch.Tensor, dropped: float) -> torch.Tensor:
        """Tokens of one caption of each of `rows`, (n, LENGTH), a `dropped` share of them `empty` (LENGTH,)."""
        device, count = rows.device, len(rows)
        chosen = torch.randint(0, self.tokens.shape[1], (count,), device=device)
        tokens = self.tokens[rows, chosen].long()
        return torch.where(torch.rand(count, 1, device=device) < dropped, empty[None], tokens)

    def chosen(self, rows: torch.Tensor) -> torch.Tensor:
        """The latents at `rows`, float32."""
        return self.latents[rows].float()


def encoder(model: Path, device: torch.device) -> Encode:
    """The autoencoder of `model` on `device`, which gives the latents that pictures most probably have.

    Raises:
        LatenttyError: it cannot be loaded.
    """
    autoencoder = frozen(load_autoencoder(model), device).to(memory_format=torch.channels_last)

    def encoded(pictures: torch.Tensor) -> torch.Tensor:
        with in_bfloat16(device):
            return _means(autoencoder, pictures)

    return encoded


@torch.no_grad()
def encode_all(model: Path, pictures: Iterable[torch.Tensor], device: torch.device) -> torch.Tensor:
    """The latents of `pictures`, which come in batches, by the autoencoder of `model`, float16."""
    encode = encoder(model, device)
    return torch.cat([encode(some).to(torch.float16) for some in pictures])


def check_latents(latents: torch.Tensor, model: Path) -> None:
    """Raises LatenttyError if `latents` are not as the autoencoder of `model` should make them."""
    deviation = float(latents.float().std())
    if not bool(torch.isfinite(latents).all()) or not DEVIATIONS[0] < deviation < DEVIATIONS[1]:
        cause = f"The autoencoder of {model} makes latents with a deviation of {deviation:.2f}, not 1."
        raise LatenttyError(Problem(code="model_damaged", cause=cause, hint="Train the autoencoder anew."))


def no_words(data: Path, device: torch.device) -> torch.Tensor:
    """The tokens of an empty caption, (LENGTH,)."""
    return torch.from_numpy(encode(read_tokenizer(data / FOLDER), [[""]])[0, 0]).long().to(device)


def _means(autoencoder: Any, pictures: torch.Tensor) -> torch.Tensor:
    encoded: torch.Tensor = autoencoder.quant_conv(autoencoder.encoder(channels_last(pictures * 2 - 1)))
    return encoded[:, :4]
