"""Draws with a finished model as anyone would: with diffusers' own pipeline and the model's own scheduler."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import diffusers
import numpy as np
import torch
import transformers

from tui.bundled.training.measures import Bytes
from tui.protocol.problem import LatenttyError, Problem


def load_pipeline(model: Path, device: str) -> Any:
    """The diffusers pipeline in the folder `model`, on `device`, which tells no progress.

    Raises:
        LatenttyError: it is no folder of a model.
    """
    diffusers.utils.logging.disable_progress_bar()
    diffusers.utils.logging.set_verbosity_error()
    transformers.utils.logging.disable_progress_bar()
    transformers.utils.logging.set_verbosity_error()
    try:
        pipeline = diffusers.StableDiffusionPipeline.from_pretrained(model, local_files_only=True).to(device)
    except OSError as error:
        hint = "Name the folder of a diffusers model."
        raise LatenttyError(
            Problem(code="model_missing", cause=f"{model} cannot be loaded: {error}.", hint=hint)
        ) from None
    pipeline.set_progress_bar_config(disable=True)
    return pipeline


class Painter:
    """The model in the folder `model`, on `device`."""

    def __init__(self, model: Path, device: str, steps: int, guidance: float) -> None:
        self._pipeline = load_pipeline(model, device)
        self._device, self._steps, self._guidance = device, steps, guidance

    def paint(
        self,
        prompts: Sequence[str],
        seeds: Sequence[int],
        negative: str = "",
        guidance: float | None = None,
        batch: int = 5,
    ) -> list[Bytes]:
        """A picture of each prompt from its seed, (256, 256, 3), 0 to 255; `batch` are drawn at a time."""
        drawn: list[Bytes] = []
        for start in range(0, len(prompts), batch):
            some = list(prompts[start : start + batch])
            result = self._pipeline(
                some,
                negative_prompt=[negative] * len(some),
                num_inference_steps=self._steps,
                guidance_scale=self._guidance if guidance is None else guidance,
                generator=[torch.Generator().manual_seed(seed) for seed in seeds[start : start + batch]],
            )
            drawn += [np.asarray(image) for image in result.images]
        return drawn

    @torch.no_grad()
    def through_vae(self, picture: Bytes) -> Bytes:
        """What is left of `picture` after encoding and decoding: as good as the model could be."""
        vae = self._pipeline.vae
        tensor = torch.from_numpy(picture.copy()).permute(2, 0, 1)[None].to(self._device).float() / 127.5 - 1
        decoded = vae.decode(vae.encode(tensor).latent_dist.mean).sample[0].permute(1, 2, 0)
        return np.asarray(((decoded.clamp(-1, 1) + 1) * 127.5).cpu().numpy().astype(np.uint8))
