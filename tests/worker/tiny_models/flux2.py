"""FLUX.2: dev and klein."""

from pathlib import Path
from typing import Any, Final

from diffusers import FlowMatchEulerDiscreteScheduler, Flux2Transformer2DModel

from tests.worker.tiny_models import autoencoders, text_encoders
from tests.worker.tiny_models.folder import Part, denoiser, part, write_model
from tests.worker.tiny_models.vocabularies import mistral_processor, qwen_tokenizer

_SHAPE: Final = {
    "in_channels": 128,
    "num_layers": 1,
    "num_single_layers": 1,
    "attention_head_dim": 16,
    "num_attention_heads": 2,
    "joint_attention_dim": 3 * text_encoders.NARROW,
    "timestep_guidance_channels": 32,
    "axes_dims_rope": (4, 4, 4, 4),
}
"""Thirty-two latent channels, two by two pixels at a time; three layers of the text encoder side by side."""


def write(folder: Path) -> Path:
    """FLUX.2 [dev]: guidance is a number that it is told."""
    encoder = {"text_encoder": part(text_encoders.mistral3()), "tokenizer": mistral_processor()}
    return write_model(folder, "Flux2Pipeline", encoder | _parts(120, guidance_embeds=True))


def write_klein(folder: Path) -> Path:
    """FLUX.2 [klein], distilled: it takes no guidance and no negative prompt."""
    return _write_klein(folder, 121, is_distilled=True)


def write_klein_base(folder: Path) -> Path:
    """FLUX.2 [klein] base: guidance by a negative prompt."""
    return _write_klein(folder, 122, is_distilled=False)


def _write_klein(folder: Path, seed: int, **config: object) -> Path:
    encoder = {
        "text_encoder": part(text_encoders.qwen3_with_head()),
        "tokenizer": part(qwen_tokenizer(), "Qwen2TokenizerFast"),
    }
    return write_model(folder, "Flux2KleinPipeline", encoder | _parts(seed, guidance_embeds=False), **config)


def _parts(seed: int, **more: Any) -> dict[str, Part | None]:
    return {
        "scheduler": part(FlowMatchEulerDiscreteScheduler(shift=3.0, use_dynamic_shifting=True)),
        "transformer": part(denoiser(lambda: Flux2Transformer2DModel(**_SHAPE, **more), seed)),
        "vae": part(autoencoders.flux2()),
    }
