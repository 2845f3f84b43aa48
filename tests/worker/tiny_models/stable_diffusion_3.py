"""Stable Diffusion 3, and its ControlNets."""

from pathlib import Path
from typing import Any, Final

from diffusers import FlowMatchEulerDiscreteScheduler, SD3ControlNetModel, SD3Transformer2DModel

from tests.worker.tiny_models import autoencoders, text_encoders
from tests.worker.tiny_models.folder import denoiser, part, write_model
from tests.worker.tiny_models.vocabularies import clip_tokenizer, t5_tokenizer

_SHAPE: Final = {
    "sample_size": 8,
    "patch_size": 2,
    "in_channels": 16,
    "num_layers": 2,
    "attention_head_dim": 16,
    "num_attention_heads": 2,
    "joint_attention_dim": 2 * text_encoders.WIDTH,
    "caption_projection_dim": 32,
    "pooled_projection_dim": 2 * text_encoders.WIDTH,
    "pos_embed_max_size": 32,
}


def write(folder: Path) -> Path:
    """A model with three text encoders."""
    parts = {
        "scheduler": part(FlowMatchEulerDiscreteScheduler(shift=3.0)),
        "text_encoder": part(text_encoders.clip_with_projection()),
        "text_encoder_2": part(text_encoders.clip_with_projection(seed=10)),
        "text_encoder_3": part(text_encoders.t5(width=2 * text_encoders.WIDTH)),
        "tokenizer": clip_tokenizer(),
        "tokenizer_2": clip_tokenizer(),
        "tokenizer_3": part(t5_tokenizer(), "T5TokenizerFast"),
        "transformer": part(denoiser(lambda: SD3Transformer2DModel(**_SHAPE), 80)),
        "vae": part(autoencoders.sixteen_channels(1.5305, 0.0609)),
    }
    return write_model(folder, "StableDiffusion3Pipeline", parts)


def write_controlnet(folder: Path) -> Path:
    """A ControlNet that sees a picture."""
    return _write_controlnet(folder)


def write_inpainting_controlnet(folder: Path) -> Path:
    """A ControlNet that sees a masked picture and its mask, in a channel more."""
    return _write_controlnet(folder, extra_conditioning_channels=1)


def _write_controlnet(folder: Path, **more: Any) -> Path:
    denoiser(lambda: SD3ControlNetModel(**(_SHAPE | {"num_layers": 1}), **more), 81).save_pretrained(folder)
    return folder
