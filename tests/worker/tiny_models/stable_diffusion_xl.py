"""Stable Diffusion XL: base, refiner, and their ControlNets."""

from pathlib import Path
from typing import Any, Final

from diffusers import ControlNetModel, ControlNetUnionModel, EulerDiscreteScheduler, UNet2DConditionModel

from tests.worker.tiny_models import autoencoders, text_encoders
from tests.worker.tiny_models.folder import Part, denoiser, part, write_model
from tests.worker.tiny_models.stable_diffusion import HINT, LEVELS
from tests.worker.tiny_models.vocabularies import clip_tokenizer

TIME_IDS: Final = 8
"""Numbers for each of the sizes that the UNet is told of."""

BASE_SIZES: Final = 6
REFINER_SIZES: Final = 5
"""Two of the six give way to the aesthetic score."""


def write(folder: Path) -> Path:
    """The base: two text encoders."""
    parts = {
        "text_encoder": part(text_encoders.clip(width=text_encoders.NARROW)),
        "tokenizer": clip_tokenizer(),
        **_shared(_unet(60, _conditions(BASE_SIZES, text_encoders.NARROW + text_encoders.WIDTH))),
    }
    return write_model(folder, "StableDiffusionXLPipeline", parts, force_zeros_for_empty_prompt=True)


def write_refiner(folder: Path) -> Path:
    """The refiner: the second text encoder alone, and an aesthetic score."""
    parts = {
        "text_encoder": None,
        "tokenizer": None,
        **_shared(_unet(61, _conditions(REFINER_SIZES, text_encoders.WIDTH))),
    }
    config = {"force_zeros_for_empty_prompt": False, "requires_aesthetics_score": True}
    return write_model(folder, "StableDiffusionXLImg2ImgPipeline", parts, **config)


def write_controlnet(folder: Path) -> Path:
    """A ControlNet for the base."""
    conditions = _conditions(BASE_SIZES, text_encoders.NARROW + text_encoders.WIDTH)
    model = denoiser(lambda: ControlNetModel(conditioning_embedding_out_channels=HINT, **conditions), 62)
    model.save_pretrained(folder)
    return folder


def write_controlnet_union(folder: Path) -> Path:
    """One ControlNet for six kinds of control; its transformer is as wide as the UNet's first level."""
    conditions = _conditions(BASE_SIZES, text_encoders.NARROW + text_encoders.WIDTH)
    width = conditions["block_out_channels"][0]
    model = denoiser(
        lambda: ControlNetUnionModel(
            conditioning_embedding_out_channels=HINT,
            num_trans_channel=width,
            num_proj_channel=width,
            num_trans_head=2,
            **conditions,
        ),
        63,
    )
    model.save_pretrained(folder)
    return folder


def _conditions(sizes: int, words: int) -> dict[str, Any]:
    return LEVELS | {
        "cross_attention_dim": words,
        "addition_embed_type": "text_time",
        "addition_time_embed_dim": TIME_IDS,
        "projection_class_embeddings_input_dim": text_encoders.WIDTH + sizes * TIME_IDS,
        "use_linear_projection": True,
    }


def _unet(seed: int, conditions: dict[str, Any]) -> Any:
    return denoiser(
        lambda: UNet2DConditionModel(sample_size=8, up_block_types=("UpBlock2D", "CrossAttnUpBlock2D"), **conditions),
        seed,
    )


def _shared(unet: Any) -> dict[str, Part | None]:
    return {
        "feature_extractor": None,
        "image_encoder": None,
        "scheduler": part(
            EulerDiscreteScheduler(
                beta_start=0.00085,
                beta_end=0.012,
                beta_schedule="scaled_linear",
                steps_offset=1,
                timestep_spacing="leading",
            )
        ),
        "text_encoder_2": part(text_encoders.clip_with_projection()),
        "tokenizer_2": clip_tokenizer(),
        "unet": part(unet),
        "vae": part(autoencoders.four_channels(0.13025)),
    }
