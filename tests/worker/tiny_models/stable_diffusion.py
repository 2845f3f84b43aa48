"""Stable Diffusion 1.x, a Latent Consistency Model made from it, and its ControlNet."""

from pathlib import Path
from typing import Any, Final

import torch
from diffusers import ControlNetModel, LCMScheduler, PNDMScheduler, UNet2DConditionModel

from tests.worker.tiny_models import autoencoders, text_encoders
from tests.worker.tiny_models.folder import denoiser, part, write_model
from tests.worker.tiny_models.vocabularies import clip_tokenizer

LEVELS: Final = {
    "block_out_channels": (16, 32),
    "down_block_types": ("CrossAttnDownBlock2D", "DownBlock2D"),
    "layers_per_block": 1,
    "norm_num_groups": 8,
    "attention_head_dim": 2,
    "cross_attention_dim": text_encoders.WIDTH,
}
"""What a UNet and its ControlNet have in common."""

HINT: Final = (8, 8, 8, 8)
"""Channels of the layers with which a ControlNet brings its picture down to an eighth of its size."""

_BETAS: Final = {"beta_start": 0.00085, "beta_end": 0.012, "beta_schedule": "scaled_linear"}


def write(folder: Path) -> Path:
    """A model for text, pictures and masks."""
    return _write(folder, _unet(40))


def write_twin(folder: Path) -> Path:
    """The text encoder and VAE of `write`, byte for byte, with another UNet."""
    return _write(folder, _unet(41))


def write_half(folder: Path) -> Path:
    """The model of `write` in fp16."""
    return _write(folder, _unet(40), dtype=torch.float16)


def write_inpainting(folder: Path) -> Path:
    """A model whose UNet has nine channels: it sees the mask and the masked picture."""
    return _write(folder, _unet(42, in_channels=9), "StableDiffusionInpaintPipeline")


def write_consistency(folder: Path) -> Path:
    """A Latent Consistency Model: its UNet is told how much guidance there is."""
    scheduler = LCMScheduler(**_BETAS)
    return _write(folder, _unet(43, time_cond_proj_dim=16), "LatentConsistencyModelPipeline", scheduler=scheduler)


def write_controlnet(folder: Path) -> Path:
    """A ControlNet for any of these."""
    model = denoiser(lambda: ControlNetModel(conditioning_embedding_out_channels=HINT, **LEVELS), 44)
    model.save_pretrained(folder)
    return folder


def _unet(seed: int, **more: Any) -> Any:
    return denoiser(
        lambda: UNet2DConditionModel(
            sample_size=8, up_block_types=("UpBlock2D", "CrossAttnUpBlock2D"), **LEVELS, **more
        ),
        seed,
    )


def _write(
    folder: Path,
    unet: Any,
    pipeline: str = "StableDiffusionPipeline",
    *,
    scheduler: Any = None,
    dtype: torch.dtype = torch.float32,
) -> Path:
    parts = {
        "feature_extractor": None,
        "safety_checker": None,
        "scheduler": part(scheduler or PNDMScheduler(skip_prk_steps=True, steps_offset=1, **_BETAS)),
        "text_encoder": part(text_encoders.clip().to(dtype)),
        "tokenizer": clip_tokenizer(),
        "unet": part(unet.to(dtype)),
        "vae": part(autoencoders.four_channels(0.18215).to(dtype)),
    }
    return write_model(folder, pipeline, parts, requires_safety_checker=False)
