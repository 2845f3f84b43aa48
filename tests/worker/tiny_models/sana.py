"""Sana, Sana-Sprint, and their ControlNet."""

from pathlib import Path
from typing import Any, Final

from diffusers import DPMSolverMultistepScheduler, SanaControlNetModel, SanaTransformer2DModel, SCMScheduler

from tests.worker.tiny_models import autoencoders, text_encoders
from tests.worker.tiny_models.folder import denoiser, part, write_model
from tests.worker.tiny_models.vocabularies import gemma_tokenizer

_SHAPE: Final = {
    "num_attention_heads": 2,
    "attention_head_dim": 16,
    "num_cross_attention_heads": 2,
    "cross_attention_head_dim": 16,
    "cross_attention_dim": 32,
    "caption_channels": text_encoders.WIDTH,
    "sample_size": 2,
}


def write(folder: Path) -> Path:
    """Sana."""
    scheduler = DPMSolverMultistepScheduler(
        prediction_type="flow_prediction", use_flow_sigmas=True, flow_shift=3.0, solver_order=2
    )
    return _write(folder, "SanaPipeline", scheduler, 220)


def write_sprint(folder: Path) -> Path:
    """Sana-Sprint: one to four steps, and guidance is a number that it is told."""
    scheduler = SCMScheduler(prediction_type="trigflow", sigma_data=0.5)
    return _write(folder, "SanaSprintPipeline", scheduler, 221, guidance_embeds=True, qk_norm="rms_norm_across_heads")


def write_controlnet(folder: Path) -> Path:
    """A ControlNet for Sana."""
    denoiser(lambda: SanaControlNetModel(num_layers=1, **_SHAPE), 222).save_pretrained(folder)
    return folder


def _write(folder: Path, pipeline: str, scheduler: Any, seed: int, **more: Any) -> Path:
    parts = {
        "scheduler": part(scheduler),
        "text_encoder": part(text_encoders.gemma2()),
        "tokenizer": part(gemma_tokenizer(), "GemmaTokenizerFast"),
        "transformer": part(denoiser(lambda: SanaTransformer2DModel(num_layers=2, **_SHAPE, **more), seed)),
        "vae": part(autoencoders.deep_compression()),
    }
    return write_model(folder, pipeline, parts)
