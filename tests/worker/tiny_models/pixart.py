"""PixArt-Σ."""

from pathlib import Path

from diffusers import DPMSolverMultistepScheduler, PixArtTransformer2DModel

from tests.worker.tiny_models import autoencoders, text_encoders
from tests.worker.tiny_models.folder import denoiser, part, write_model
from tests.worker.tiny_models.vocabularies import t5_tokenizer


def write(folder: Path) -> Path:
    """PixArt-Σ."""
    parts = {
        "scheduler": part(DPMSolverMultistepScheduler()),
        "text_encoder": part(text_encoders.t5()),
        "tokenizer": part(t5_tokenizer()),
        "transformer": part(denoiser(_transformer, 200)),
        "vae": part(autoencoders.four_channels(0.13025)),
    }
    return write_model(folder, "PixArtSigmaPipeline", parts)


def _transformer() -> PixArtTransformer2DModel:
    return PixArtTransformer2DModel(
        sample_size=8,
        num_layers=1,
        num_attention_heads=2,
        attention_head_dim=16,
        cross_attention_dim=32,
        caption_channels=text_encoders.WIDTH,
        use_additional_conditions=False,
    )
