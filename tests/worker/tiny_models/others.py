"""Models of families that have no table of their own: Lumina 2, AuraFlow, CogView 4 and Krea 2."""

from pathlib import Path

from diffusers import (
    AuraFlowTransformer2DModel,
    CogView4Transformer2DModel,
    FlowMatchEulerDiscreteScheduler,
    Krea2Transformer2DModel,
    Lumina2Transformer2DModel,
)

from tests.worker.tiny_models import autoencoders, text_encoders
from tests.worker.tiny_models.folder import denoiser, part, write_model
from tests.worker.tiny_models.vocabularies import gemma_tokenizer, glm_tokenizer, llama_tokenizer, qwen_tokenizer


def write_lumina2(folder: Path) -> Path:
    """Lumina-Image 2.0."""
    parts = {
        "scheduler": part(FlowMatchEulerDiscreteScheduler(shift=6.0)),
        "text_encoder": part(text_encoders.gemma2()),
        "tokenizer": part(gemma_tokenizer(), "GemmaTokenizerFast"),
        "transformer": part(denoiser(_lumina2, 240)),
        "vae": part(autoencoders.sixteen_channels()),
    }
    return write_model(folder, "Lumina2Pipeline", parts)


def write_auraflow(folder: Path) -> Path:
    """AuraFlow."""
    parts = {
        "scheduler": part(FlowMatchEulerDiscreteScheduler(shift=1.73)),
        "text_encoder": part(text_encoders.umt5()),
        "tokenizer": part(llama_tokenizer(), "LlamaTokenizerFast"),
        "transformer": part(denoiser(_auraflow, 241)),
        "vae": part(autoencoders.four_channels(0.13025)),
    }
    return write_model(folder, "AuraFlowPipeline", parts)


def write_cogview4(folder: Path) -> Path:
    """CogView 4."""
    shift = {"base_shift": 0.25, "max_shift": 0.75, "time_shift_type": "linear"}
    parts = {
        "scheduler": part(FlowMatchEulerDiscreteScheduler(use_dynamic_shifting=True, **shift)),
        "text_encoder": part(text_encoders.glm()),
        "tokenizer": part(glm_tokenizer(), "PreTrainedTokenizerFast"),
        "transformer": part(denoiser(_cogview4, 242)),
        "vae": part(autoencoders.sixteen_channels(1.0, 0.0)),
    }
    return write_model(folder, "CogView4Pipeline", parts)


def write_krea2(folder: Path) -> Path:
    """Krea 2: reads what several layers of its text encoder make of the prompt."""
    shift = {"base_shift": 0.5, "max_shift": 1.15, "max_image_seq_len": 6400}
    parts = {
        "scheduler": part(FlowMatchEulerDiscreteScheduler(use_dynamic_shifting=True, **shift)),
        "text_encoder": part(text_encoders.qwen3_vl(11, head=False)),
        "tokenizer": part(qwen_tokenizer()),
        "transformer": part(denoiser(_krea2, 243)),
        "vae": part(autoencoders.qwen_image()),
    }
    taps = {"text_encoder_select_layers": [0, 1, 2], "is_distilled": False, "patch_size": 2}
    return write_model(folder, "Krea2Pipeline", parts, **taps)


def _krea2() -> Krea2Transformer2DModel:
    return Krea2Transformer2DModel(
        num_layers=2,
        attention_head_dim=16,
        num_attention_heads=2,
        num_key_value_heads=1,
        intermediate_size=48,
        timestep_embed_dim=16,
        text_hidden_dim=text_encoders.WIDTH,
        num_text_layers=3,
        text_num_attention_heads=2,
        text_num_key_value_heads=2,
        text_intermediate_size=48,
        num_layerwise_text_blocks=1,
        num_refiner_text_blocks=1,
        axes_dims_rope=(4, 6, 6),
    )


def _lumina2() -> Lumina2Transformer2DModel:
    return Lumina2Transformer2DModel(
        sample_size=8,
        hidden_size=32,
        num_layers=1,
        num_refiner_layers=1,
        num_attention_heads=2,
        num_kv_heads=1,
        multiple_of=16,
        axes_dim_rope=(4, 6, 6),
        axes_lens=(300, 64, 64),
        cap_feat_dim=text_encoders.WIDTH,
    )


def _auraflow() -> AuraFlowTransformer2DModel:
    return AuraFlowTransformer2DModel(
        sample_size=8,
        num_mmdit_layers=1,
        num_single_dit_layers=1,
        attention_head_dim=16,
        num_attention_heads=2,
        joint_attention_dim=text_encoders.WIDTH,
        caption_projection_dim=32,
        pos_embed_max_size=1024,
    )


def _cogview4() -> CogView4Transformer2DModel:
    return CogView4Transformer2DModel(
        num_layers=2,
        attention_head_dim=16,
        num_attention_heads=2,
        text_embed_dim=text_encoders.WIDTH,
        time_embed_dim=16,
        condition_dim=8,
        pos_embed_max_size=32,
        sample_size=8,
        rope_axes_dim=(16, 16),
    )
