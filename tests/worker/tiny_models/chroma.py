"""Chroma."""

from pathlib import Path

from diffusers import ChromaTransformer2DModel, FlowMatchEulerDiscreteScheduler

from tests.worker.tiny_models import autoencoders, text_encoders
from tests.worker.tiny_models.folder import denoiser, part, write_model
from tests.worker.tiny_models.vocabularies import t5_tokenizer


def write(folder: Path) -> Path:
    """Chroma1."""
    parts = {
        "feature_extractor": None,
        "image_encoder": None,
        "scheduler": part(FlowMatchEulerDiscreteScheduler(shift=3.0, use_dynamic_shifting=True)),
        "text_encoder": part(text_encoders.t5()),
        "tokenizer": part(t5_tokenizer()),
        "transformer": part(denoiser(_transformer, 180)),
        "vae": part(autoencoders.sixteen_channels()),
    }
    return write_model(folder, "ChromaPipeline", parts)


def _transformer() -> ChromaTransformer2DModel:
    return ChromaTransformer2DModel(
        in_channels=64,
        num_layers=1,
        num_single_layers=1,
        attention_head_dim=16,
        num_attention_heads=2,
        joint_attention_dim=text_encoders.WIDTH,
        axes_dims_rope=(4, 6, 6),
        approximator_num_channels=64,
        approximator_hidden_dim=32,
        approximator_layers=1,
    )
