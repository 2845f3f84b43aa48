"""Z-Image, and its ControlNets."""

from pathlib import Path
from typing import Final

from diffusers import FlowMatchEulerDiscreteScheduler, ZImageControlNetModel, ZImageTransformer2DModel

from tests.worker.tiny_models import autoencoders, text_encoders
from tests.worker.tiny_models.folder import denoiser, part, write_model
from tests.worker.tiny_models.vocabularies import qwen_tokenizer

_SHAPE: Final = {"dim": 32, "n_refiner_layers": 1, "n_heads": 2, "n_kv_heads": 2}

LATENT_CHANNELS: Final = 16


def write(folder: Path) -> Path:
    """Z-Image."""
    parts = {
        "scheduler": part(FlowMatchEulerDiscreteScheduler(shift=3.0)),
        "text_encoder": part(text_encoders.qwen3()),
        "tokenizer": part(qwen_tokenizer()),
        "transformer": part(
            denoiser(
                lambda: ZImageTransformer2DModel(
                    n_layers=2,
                    cap_feat_dim=text_encoders.WIDTH,
                    axes_dims=[4, 6, 6],
                    axes_lens=[1024, 64, 64],
                    **_SHAPE,
                ),
                160,
            )
        ),
        "vae": part(autoencoders.sixteen_channels()),
    }
    return write_model(folder, "ZImagePipeline", parts)


def write_controlnet(folder: Path) -> Path:
    """A ControlNet that sees a picture."""
    return _write_controlnet(folder, LATENT_CHANNELS)


def write_inpainting_controlnet(folder: Path) -> Path:
    """A ControlNet that sees a picture, a mask and the masked picture."""
    return _write_controlnet(folder, 2 * LATENT_CHANNELS + 1)


def _write_controlnet(folder: Path, channels: int) -> Path:
    model = denoiser(
        lambda: ZImageControlNetModel(
            control_layers_places=[0],
            control_refiner_layers_places=[0],
            control_in_dim=channels,
            add_control_noise_refiner="control_noise_refiner",
            **_SHAPE,
        ),
        161,
    )
    model.save_pretrained(folder)
    return folder
