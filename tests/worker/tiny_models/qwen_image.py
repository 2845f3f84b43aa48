"""Qwen-Image: the model for text, the two for editing, and the ControlNets."""

from pathlib import Path
from typing import Any, Final

from diffusers import (
    FlowMatchEulerDiscreteScheduler,
    QwenImage21Transformer2DModel,
    QwenImageControlNetModel,
    QwenImageTransformer2DModel,
)

from tests.worker.tiny_models import autoencoders, text_encoders
from tests.worker.tiny_models.folder import denoiser, part, write_model
from tests.worker.tiny_models.vocabularies import qwen_tokenizer, qwen_vl_processor

_SHAPE: Final = {
    "in_channels": 64,
    "out_channels": 16,
    "attention_head_dim": 16,
    "num_attention_heads": 2,
    "joint_attention_dim": text_encoders.WIDTH,
    "axes_dims_rope": (4, 6, 6),
}


def write(folder: Path) -> Path:
    """Qwen-Image."""
    return _write(folder, "QwenImagePipeline", 140)


def write_edit(folder: Path) -> Path:
    """Qwen-Image-Edit: its text encoder sees the picture."""
    return _write(folder, "QwenImageEditPipeline", 141, sees=True)


def write_edit_plus(folder: Path) -> Path:
    """Qwen-Image-Edit-2509 and later: several pictures."""
    return _write(folder, "QwenImageEditPlusPipeline", 142, sees=True)


def write_later(folder: Path) -> Path:
    """Qwen-Image 2.1: another transformer, another autoencoder, and a text encoder that its processor reads for."""
    shape = {
        "in_channels": 16,
        "out_channels": 16,
        "attention_head_dim": 16,
        "num_attention_heads": 2,
        "context_in_dim": text_encoders.WIDTH,
        "axes_dims_rope": (4, 6, 6),
    }
    parts = {
        "scheduler": part(FlowMatchEulerDiscreteScheduler(use_dynamic_shifting=True)),
        "vae": part(autoencoders.qwen_image_later()),
        "text_encoder": part(text_encoders.qwen3_vl(12)),
        "processor": qwen_vl_processor("Qwen3VLProcessor"),
        "transformer": part(denoiser(lambda: QwenImage21Transformer2DModel(num_layers=2, **shape), 144)),
    }
    return write_model(folder, "QwenImage21Pipeline", parts)


def write_controlnet(folder: Path) -> Path:
    """A ControlNet that sees a picture."""
    return _write_controlnet(folder)


def write_inpainting_controlnet(folder: Path) -> Path:
    """A ControlNet that sees a masked picture and its mask, in a channel of four pixels more."""
    return _write_controlnet(folder, extra_condition_channels=4)


def _write_controlnet(folder: Path, **more: Any) -> Path:
    denoiser(lambda: QwenImageControlNetModel(num_layers=1, **_SHAPE, **more), 143).save_pretrained(folder)
    return folder


def _write(folder: Path, pipeline: str, seed: int, *, sees: bool = False) -> Path:
    shift = {"base_shift": 0.5, "max_shift": 0.9, "max_image_seq_len": 8192, "shift_terminal": 0.02}
    scheduler = FlowMatchEulerDiscreteScheduler(use_dynamic_shifting=True, time_shift_type="exponential", **shift)
    parts = {
        "scheduler": part(scheduler),
        "text_encoder": part(text_encoders.qwen25_vl()),
        "tokenizer": part(qwen_tokenizer()),
        "transformer": part(denoiser(lambda: QwenImageTransformer2DModel(num_layers=2, **_SHAPE), seed)),
        "vae": part(autoencoders.qwen_image()),
    }
    return write_model(folder, pipeline, parts | ({"processor": qwen_vl_processor()} if sees else {}))
