"""FLUX.1: dev, schnell, Fill, Kontext, and ControlNets."""

from pathlib import Path
from typing import Any, Final

from diffusers import FlowMatchEulerDiscreteScheduler, FluxControlNetModel, FluxTransformer2DModel

from tests.worker.tiny_models import autoencoders, text_encoders
from tests.worker.tiny_models.folder import denoiser, part, write_model
from tests.worker.tiny_models.vocabularies import clip_tokenizer, t5_tokenizer

_SHAPE: Final = {
    "in_channels": 64,
    "num_layers": 1,
    "num_single_layers": 1,
    "attention_head_dim": 16,
    "num_attention_heads": 2,
    "joint_attention_dim": text_encoders.WIDTH,
    "pooled_projection_dim": text_encoders.WIDTH,
    "axes_dims_rope": (4, 6, 6),
}
"""Sixteen latent channels, two by two pixels at a time."""

FILL_CHANNELS: Final = 384
"""The latents, the masked picture's, and a mask with a value for every pixel."""

CONTROL_MODES: Final = 3


def write(folder: Path) -> Path:
    """FLUX.1 [dev]: guidance is a number that it is told."""
    return _write(folder, "FluxPipeline", _transformer(100))


def write_schnell(folder: Path) -> Path:
    """FLUX.1 [schnell]: no guidance, and a schedule that is not shifted."""
    return _write(folder, "FluxPipeline", _transformer(101, guidance_embeds=False), shifted=False)


def write_fill(folder: Path) -> Path:
    """FLUX.1 Fill [dev]."""
    return _write(folder, "FluxFillPipeline", _transformer(102, in_channels=FILL_CHANNELS, out_channels=64))


def write_kontext(folder: Path) -> Path:
    """FLUX.1 Kontext [dev]."""
    return _write(folder, "FluxKontextPipeline", _transformer(103))


def write_controlnet(folder: Path) -> Path:
    """A ControlNet for one kind of control."""
    return _write_controlnet(folder, 104)


def write_controlnet_union(folder: Path) -> Path:
    """A ControlNet for several kinds of control, chosen by number."""
    return _write_controlnet(folder, 105, num_mode=CONTROL_MODES)


def _transformer(seed: int, **changes: Any) -> Any:
    return denoiser(lambda: FluxTransformer2DModel(**(_SHAPE | {"guidance_embeds": True} | changes)), seed)


def _write_controlnet(folder: Path, seed: int, **more: Any) -> Path:
    denoiser(lambda: FluxControlNetModel(guidance_embeds=True, **_SHAPE, **more), seed).save_pretrained(folder)
    return folder


def _write(folder: Path, pipeline: str, transformer: Any, *, shifted: bool = True) -> Path:
    shift = {"shift": 3.0, "use_dynamic_shifting": True} if shifted else {"shift": 1.0}
    parts = {
        "scheduler": part(FlowMatchEulerDiscreteScheduler(**shift)),
        "text_encoder": part(text_encoders.clip()),
        "text_encoder_2": part(text_encoders.t5()),
        "tokenizer": clip_tokenizer(),
        "tokenizer_2": part(t5_tokenizer(), "T5TokenizerFast"),
        "transformer": part(transformer),
        "vae": part(autoencoders.sixteen_channels()),
    }
    return write_model(folder, pipeline, parts)
