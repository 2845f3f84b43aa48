"""Teaches a ControlNet to follow edges (Zhang et al. 2023), on a finished model that stays as it is."""

from collections.abc import Callable
from pathlib import Path
from typing import Final

import torch

from tui.bundled.training.compiling import compiled
from tui.bundled.training.devices import channels_last, prepared_device
from tui.bundled.training.edges import unpack_lines
from tui.bundled.training.effort import Effort
from tui.bundled.training.latents import no_words
from tui.bundled.training.lesson import learn
from tui.bundled.training.noising import Noising
from tui.bundled.training.parts import (
    CONTROL,
    MODEL,
    WEIGHTS,
    count_parameters,
    frozen,
    load_text_encoder,
    load_unet,
    new_control,
    read_weights,
    save_part,
)
from tui.bundled.training.progress_log import ProgressLog
from tui.bundled.training.shards import read_with_edges

RATE: Final = 8e-4

DROPPED: Final = 0.5
"""The share of captions that is left out, so that edges alone must do."""

LEAN: Final = 2.0
"""Towards times with much noise, at which it is settled what is where: see :meth:`Noising.times`."""

BATCH: Final = 0.5
"""Against the denoiser's."""


Told = Callable[[torch.Tensor, torch.Tensor, torch.Tensor, torch.Tensor], torch.Tensor]
"""What is predicted of noisy latents, with their times, tokens and packed edges."""


def train_control(
    data: Path, out: Path, pictures: Path, begun_with: Path | None, until: float, effort: Effort, log: ProgressLog
) -> None:
    """Teach a ControlNet for the model in `out` with those of its `pictures` that have edges; it goes to `out`.

    The one in the folder `begun_with` is taught on, if it is there.

    Raises:
        LatenttyError: the model or the data cannot be read.
    """
    device = prepared_device()
    model = out / MODEL
    noising = Noising(model, device)
    unet = frozen(load_unet(model), device).to(memory_format=torch.channels_last)
    text = frozen(load_text_encoder(model), device)
    goes_on = begun_with is not None and begun_with.exists()
    control = new_control(unet).to(device, memory_format=torch.channels_last).train()
    if begun_with is not None and goes_on:
        control.load_state_dict(read_weights(begun_with / WEIGHTS))
    learned = list(control.parameters())
    empty = no_words(data, device)
    latents, edges = read_with_edges(pictures, device)
    log(f"{count_parameters(control) / 1e6:.2f} M parameters{' taught on' * goes_on}, {len(edges)} pictures")
    batch = min(effort.part(BATCH), len(edges))

    def told(noisy: torch.Tensor, times: torch.Tensor, tokens: torch.Tensor, packed: torch.Tensor) -> torch.Tensor:
        with torch.no_grad():
            words = text(input_ids=tokens)[0]
        lines = channels_last(unpack_lines(packed).float()[:, None].expand(-1, 3, -1, -1))
        down, middle = control(noisy, times, words, lines, return_dict=False)
        predicted: torch.Tensor = unet(
            noisy,
            times,
            words,
            down_block_additional_residuals=down,
            mid_block_additional_residual=middle,
            return_dict=False,
        )[0]
        return predicted

    def error(told: Told) -> torch.Tensor:
        rows = latents.rows(batch)
        tokens = latents.captions(rows, empty, DROPPED)
        return noising.error(latents.chosen(rows), lambda noisy, times: told(noisy, times, tokens, edges[rows]), LEAN)

    def rehearse(told: Told) -> None:
        torch.autograd.backward(error(told))
        for one in learned:
            one.grad = None

    fast = compiled(told, rehearse, effort.compile and device.type == "cuda", log)
    learn(learned, lambda: error(fast), rate=RATE, until=until, effort=effort, log=log)
    folder = out / CONTROL
    save_part(control, folder)
    control.save_config(folder)
    log("CONTROLNET SAVED")
