"""`python -m tui.worker.bench.synthetic KIND FOLDER`: a model of real size with random weights, in half precision.

Its tokenizer is the bundled model's, so that its prompts are read; what it draws is noise.
"""

import shutil
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

import diffusers
import torch
import transformers

from tui.library.models import BUNDLED
from tui.library.paths import bundled_models


def _text_encoder(words: int, width: int, layers: int, heads: int, projection: int = 0) -> Any:
    config = transformers.CLIPTextConfig(
        vocab_size=words,
        hidden_size=width,
        intermediate_size=width * 4,
        num_hidden_layers=layers,
        num_attention_heads=heads,
        projection_dim=projection or width,
    )
    kind = transformers.CLIPTextModelWithProjection if projection else transformers.CLIPTextModel
    return kind(config)


def _vae() -> Any:
    return diffusers.AutoencoderKL(
        block_out_channels=(128, 256, 512, 512),
        layers_per_block=2,
        latent_channels=4,
        down_block_types=("DownEncoderBlock2D",) * 4,
        up_block_types=("UpDecoderBlock2D",) * 4,
        sample_size=512,
    )


def _tokenizer() -> Any:
    return transformers.CLIPTokenizer.from_pretrained(bundled_models() / BUNDLED / "tokenizer", local_files_only=True)


def _scheduler() -> Any:
    return diffusers.EulerDiscreteScheduler(beta_start=0.00085, beta_end=0.012, beta_schedule="scaled_linear")


def sd15() -> Any:
    """Stable Diffusion 1.5: 860 million weights in the UNet."""
    tokenizer = _tokenizer()
    return diffusers.StableDiffusionPipeline(
        vae=_vae(),
        text_encoder=_text_encoder(len(tokenizer), 768, 12, 12),
        tokenizer=tokenizer,
        unet=diffusers.UNet2DConditionModel(sample_size=64, cross_attention_dim=768, attention_head_dim=8),
        scheduler=_scheduler(),
        safety_checker=None,
        feature_extractor=None,
        requires_safety_checker=False,
    )


def sdxl() -> Any:
    """Stable Diffusion XL: 2,570 million weights in the UNet."""
    tokenizer = _tokenizer()
    unet = diffusers.UNet2DConditionModel(
        sample_size=128,
        block_out_channels=(320, 640, 1280),
        down_block_types=("DownBlock2D", "CrossAttnDownBlock2D", "CrossAttnDownBlock2D"),
        up_block_types=("CrossAttnUpBlock2D", "CrossAttnUpBlock2D", "UpBlock2D"),
        transformer_layers_per_block=[1, 2, 10],
        attention_head_dim=[5, 10, 20],
        cross_attention_dim=2048,
        use_linear_projection=True,
        addition_embed_type="text_time",
        addition_time_embed_dim=256,
        projection_class_embeddings_input_dim=2816,
    )
    return diffusers.StableDiffusionXLPipeline(
        vae=_vae(),
        text_encoder=_text_encoder(len(tokenizer), 768, 12, 12),
        text_encoder_2=_text_encoder(len(tokenizer), 1280, 32, 20, projection=1280),
        tokenizer=tokenizer,
        tokenizer_2=_tokenizer(),
        unet=unet,
        scheduler=_scheduler(),
    )


def twin() -> Any:
    """The bundled model with every weight a little off, so that it shares none with it."""
    pipeline = diffusers.StableDiffusionPipeline.from_pretrained(
        bundled_models() / BUNDLED, dtype=torch.float16, use_safetensors=True, local_files_only=True
    )
    with torch.no_grad():
        for part in (pipeline.unet, pipeline.vae, pipeline.text_encoder):
            for weight in part.parameters():
                weight.mul_(1.001)
    return pipeline


KINDS: Final[dict[str, Callable[[], Any]]] = {"sd15": sd15, "sdxl": sdxl, "twin": twin}


def main() -> None:
    """Write the model that the arguments name."""
    kind, folder = sys.argv[1:]
    torch.set_default_dtype(torch.float16)
    part = Path(folder).with_suffix(".part")
    KINDS[kind]().save_pretrained(part)
    shutil.rmtree(folder, ignore_errors=True)
    part.rename(folder)


if __name__ == "__main__":
    main()
