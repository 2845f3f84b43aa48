"""`python -m tui.worker.bench.synthetic KIND FOLDER`: a model of real size with random weights, in half precision.

Its tokenizer is the bundled model's, so that its prompts are read; what it draws is noise. `KIND-small` is the same
model with few and narrow layers, for trying measures out.
"""

import os
import shutil
import sys
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

import diffusers
import torch
import transformers

from tui.library.models import BUNDLED
from tui.library.paths import bundled_models

SPREAD: Final = 0.02
"""The deviation of random weights: small enough that deep models stay finite."""


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


def _vae(channels: int = 4, *, small: bool = False, **scale: float) -> Any:
    return diffusers.AutoencoderKL(
        block_out_channels=(32,) * 4 if small else (128, 256, 512, 512),
        layers_per_block=1 if small else 2,
        latent_channels=channels,
        down_block_types=("DownEncoderBlock2D",) * 4,
        up_block_types=("UpDecoderBlock2D",) * 4,
        sample_size=512,
        **scale,
    )


def _tokenizer() -> Any:
    return transformers.CLIPTokenizer.from_pretrained(bundled_models() / BUNDLED / "tokenizer", local_files_only=True)


def _scheduler() -> Any:
    with torch.device("cpu"):  # whatever the weights are made on
        return diffusers.EulerDiscreteScheduler(beta_start=0.00085, beta_end=0.012, beta_schedule="scaled_linear")


def _flow_scheduler() -> Any:
    with torch.device("cpu"):
        return diffusers.FlowMatchEulerDiscreteScheduler(shift=3.0, use_dynamic_shifting=True)


def sd15(*, small: bool = False) -> Any:
    """Stable Diffusion 1.5: 860 million weights in the UNet."""
    tokenizer = _tokenizer()
    sizes = {"block_out_channels": (32, 64, 64, 64)} if small else {}
    width = 32 if small else 768
    return diffusers.StableDiffusionPipeline(
        vae=_vae(small=small),
        text_encoder=_text_encoder(len(tokenizer), width, 2 if small else 12, 2 if small else 12),
        tokenizer=tokenizer,
        unet=diffusers.UNet2DConditionModel(sample_size=64, cross_attention_dim=width, attention_head_dim=8, **sizes),
        scheduler=_scheduler(),
        safety_checker=None,
        feature_extractor=None,
        requires_safety_checker=False,
    )


def sdxl(*, small: bool = False) -> Any:
    """Stable Diffusion XL: 2,570 million weights in the UNet."""
    tokenizer = _tokenizer()
    first, second = (32, 64) if small else (768, 1280)
    layers, deep = (2, 2) if small else (12, 32)
    unet = diffusers.UNet2DConditionModel(
        sample_size=128,
        block_out_channels=(32, 64, 64) if small else (320, 640, 1280),
        down_block_types=("DownBlock2D", "CrossAttnDownBlock2D", "CrossAttnDownBlock2D"),
        up_block_types=("CrossAttnUpBlock2D", "CrossAttnUpBlock2D", "UpBlock2D"),
        transformer_layers_per_block=[1, 2, 2 if small else 10],
        attention_head_dim=[2, 2, 2] if small else [5, 10, 20],
        cross_attention_dim=first + second,
        use_linear_projection=True,
        addition_embed_type="text_time",
        addition_time_embed_dim=256,
        projection_class_embeddings_input_dim=second + 6 * 256,
    )
    return diffusers.StableDiffusionXLPipeline(
        vae=_vae(small=small),
        text_encoder=_text_encoder(len(tokenizer), first, layers, 2 if small else 12),
        text_encoder_2=_text_encoder(len(tokenizer), second, deep, 2 if small else 20, projection=second),
        tokenizer=tokenizer,
        tokenizer_2=_tokenizer(),
        unet=unet,
        scheduler=_scheduler(),
    )


def flux(*, small: bool = False) -> Any:
    """FLUX.1: 11,900 million weights in the transformer and 4,700 million in its T5."""
    tokenizer = _tokenizer()
    reader = transformers.T5Config(
        vocab_size=len(tokenizer),
        d_model=64 if small else 4096,
        d_kv=32 if small else 64,
        d_ff=128 if small else 10240,
        num_layers=2 if small else 24,
        num_heads=2 if small else 64,
        feed_forward_proj="gated-gelu",
        is_encoder_decoder=False,
    )
    transformer = diffusers.FluxTransformer2DModel(
        num_layers=2 if small else 19,
        num_single_layers=2 if small else 38,
        num_attention_heads=2 if small else 24,
        attention_head_dim=128,
        joint_attention_dim=64 if small else 4096,
        pooled_projection_dim=64 if small else 768,
        guidance_embeds=True,
    )
    return diffusers.FluxPipeline(
        vae=_vae(16, small=small, scaling_factor=0.3611, shift_factor=0.1159),
        text_encoder=_text_encoder(len(tokenizer), 64 if small else 768, 2 if small else 12, 2 if small else 12),
        tokenizer=tokenizer,
        text_encoder_2=transformers.T5EncoderModel(reader),
        tokenizer_2=_tokenizer(),
        transformer=transformer,
        scheduler=_flow_scheduler(),
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


KINDS: Final[dict[str, Callable[..., Any]]] = {"sd15": sd15, "sdxl": sdxl, "flux": flux}


def made(kind: str, seed: int) -> Any:
    """A pipeline of `kind` whose weights are random bfloat16, others for another seed."""
    name, _, small = kind.partition("-")
    with torch.device("meta"):
        pipeline = KINDS[name](small=bool(small))
    generator = torch.Generator().manual_seed(seed)
    for part in pipeline.components.values():
        if isinstance(part, torch.nn.Module):
            _fill(part, generator)
    return pipeline


def _fill(module: torch.nn.Module, generator: torch.Generator) -> None:
    """Give every weight of `module`, which is on no device yet, memory and a value.

    Values repeat: a block of random numbers is laid over each weight, at another place each time.
    """
    module.to(torch.bfloat16).to_empty(device="cpu")
    block = torch.randn(1 << 24, generator=generator).mul_(SPREAD).bfloat16()
    for name, weight in module.named_parameters():
        begin = int(torch.randint(1 << 20, (1,), generator=generator))
        flat = weight.data.view(-1)
        if weight.ndim == 1:
            flat.fill_(float(name.endswith("weight")))  # normalisations change nothing, and there is no bias
            continue
        for done in range(0, len(flat), len(block) - begin):
            run = min(len(block) - begin, len(flat) - done)
            flat[done : done + run] = block[begin : begin + run]


def main() -> None:
    """Write the model that the arguments name."""
    kind, folder = sys.argv[1:]
    part = Path(folder).with_suffix(".part")
    (twin() if kind == "twin" else made(kind, zlib.crc32(folder.encode()))).save_pretrained(part)
    shutil.rmtree(folder, ignore_errors=True)
    part.rename(folder)
    os.sync()  # what is still being written would slow down the measures of reading


if __name__ == "__main__":
    main()
