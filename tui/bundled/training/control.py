"""Teaches a ControlNet to follow edges (Zhang et al. 2023), on a finished model that stays as it is."""

from pathlib import Path
from typing import Final

import torch

from tui.bundled.training.devices import channels_last, prepared_device
from tui.bundled.training.effort import Effort
from tui.bundled.training.latents import no_words, read_edges, read_latents
from tui.bundled.training.lesson import learn
from tui.bundled.training.noising import Noising
from tui.bundled.training.parts import (
    CONTROL,
    MODEL,
    count_parameters,
    frozen,
    load_text_encoder,
    load_unet,
    new_control,
    save_part,
)
from tui.bundled.training.progress_log import ProgressLog

RATE: Final = 8e-4

DROPPED: Final = 0.3
"""The share of captions that is left out, so that edges alone must do."""

BATCH: Final = 0.5
"""Against the denoiser's."""


def train_control(data: Path, out: Path, pictures: Path, until: float, effort: Effort, log: ProgressLog) -> None:
    """Teach a ControlNet for the model in `out` with the `pictures` that the denoiser learned from; it goes to `out`.

    Raises:
        LatenttyError: the model or the data cannot be read.
    """
    device = prepared_device()
    model = out / MODEL
    noising = Noising(model, device)
    unet = frozen(load_unet(model), device).to(memory_format=torch.channels_last)
    text = frozen(load_text_encoder(model), device)
    control = new_control(unet).to(device, memory_format=torch.channels_last).train()
    empty = no_words(data, device)
    edges = read_edges(pictures, device)
    latents = read_latents(pictures, torch.device("cpu")).part(0, len(edges)).to(device)
    log(f"{count_parameters(control) / 1e6:.2f} M parameters, {len(edges)} pictures")
    batch = min(effort.part(BATCH), len(edges))

    def loss() -> torch.Tensor:
        rows = latents.rows(batch)
        lines = channels_last((edges[rows].float() / 255)[:, None].expand(-1, 3, -1, -1))

        def predict(noisy: torch.Tensor, times: torch.Tensor) -> torch.Tensor:
            with torch.no_grad():
                words = text(input_ids=latents.captions(rows, empty, DROPPED))[0]
            down, middle = control(noisy, times, words, lines, return_dict=False)
            told: torch.Tensor = unet(
                noisy,
                times,
                words,
                down_block_additional_residuals=down,
                mid_block_additional_residual=middle,
                return_dict=False,
            )[0]
            return told

        return noising.error(latents.chosen(rows), predict)

    learn(list(control.parameters()), loss, rate=RATE, until=until, effort=effort, log=log)
    folder = out / CONTROL
    save_part(control, folder)
    control.save_config(folder)
    log("CONTROLNET SAVED")
