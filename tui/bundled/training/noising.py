"""Latents with noise, as the model's scheduler mixes them, and what the model is to say of them."""

from collections.abc import Callable
from pathlib import Path

import torch
from diffusers import DPMSolverMultistepScheduler

from tui.bundled.training.devices import channels_last, in_bfloat16
from tui.protocol.problem import LatenttyError, Problem

Predict = Callable[[torch.Tensor, torch.Tensor], torch.Tensor]
"""What a model says of noisy latents and their times."""


class Noising:
    """The schedule of the model in the folder `model`, on `device`.

    Raises:
        LatenttyError: its scheduler is not for v-prediction (Salimans and Ho 2022).
    """

    def __init__(self, model: Path, device: torch.device) -> None:
        scheduler = DPMSolverMultistepScheduler.from_pretrained(model / "scheduler", local_files_only=True)
        if scheduler.config.prediction_type != "v_prediction":
            cause = f"The scheduler of {model} is for {scheduler.config.prediction_type}."
            raise LatenttyError(
                Problem(code="bad_request", cause=cause, hint="Name a model that was trained with v-prediction.")
            )
        alphas: torch.Tensor = scheduler.alphas_cumprod.float().to(device)
        self._signal, self._noise = alphas.sqrt(), (1 - alphas).sqrt()
        self._device = device
        self.steps = len(alphas)
        """Of the whole schedule."""

    def times(self, count: int, lean: float = 1.0) -> torch.Tensor:
        """Random times, (count,), each in another part of the schedule: every batch has early and late ones.

        With a `lean` of 1 all are as frequent; the greater it is, the more often there is much noise.
        """
        places = (torch.arange(count, device=self._device) + torch.rand(count, device=self._device)) / count
        return ((1 - (1 - places) ** lean) * self.steps).long().clamp(max=self.steps - 1)

    def mix(self, latents: torch.Tensor, noise: torch.Tensor, times: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """`latents` (n, channels, h, w) with `noise` as at `times` (n,), and the v that is to be predicted of them."""
        signal, strength = self._signal[times][:, None, None, None], self._noise[times][:, None, None, None]
        return signal * latents + strength * noise, signal * noise - strength * latents

    def error(self, latents: torch.Tensor, predict: Predict, lean: float = 1.0) -> torch.Tensor:
        """The mean squared error of what is predicted of `latents` with random noise at random :meth:`times`."""
        times = self.times(len(latents), lean)
        noisy, wanted = self.mix(channels_last(latents), channels_last(torch.randn_like(latents)), times)
        with in_bfloat16(self._device):
            told = predict(noisy, times).float()
        squares: torch.Tensor = (told - wanted) ** 2
        return squares.mean()
