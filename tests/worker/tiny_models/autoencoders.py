"""Autoencoders with few channels; what they make of a picture has the shape that the real ones give it."""

from typing import Any, Final

import torch
from diffusers import AutoencoderDC, AutoencoderKL, AutoencoderKLFlux2, AutoencoderKLQwenImage, AutoencoderKLQwenImage21
from torch import nn

from tests.worker.tiny_models.folder import seeded

_EIGHTH: Final = {
    "block_out_channels": (8, 8, 8, 8),
    "down_block_types": ("DownEncoderBlock2D",) * 4,
    "up_block_types": ("UpDecoderBlock2D",) * 4,
    "layers_per_block": 1,
    "norm_num_groups": 4,
    "sample_size": 64,
}
"""Four levels: a latent pixel for 8 × 8 pixels."""


SURE: Final = -12.0
"""Logarithm of the variance of what the encoders tell: like real ones, they hardly leave anything to chance."""


def four_channels(scaling_factor: float, seed: int = 20) -> Any:
    """The autoencoder of Stable Diffusion 1.x, SDXL, PixArt-Σ and AuraFlow."""
    config = {"latent_channels": 4, "scaling_factor": scaling_factor, "force_upcast": False}
    model = seeded(lambda: AutoencoderKL(**config, **_EIGHTH), seed)
    return _with_contrast(model, model.quant_conv, 1 / scaling_factor)


def sixteen_channels(scaling_factor: float = 0.3611, shift_factor: float = 0.1159, seed: int = 21) -> Any:
    """The autoencoder of SD3, FLUX.1 and most that came after them."""
    config = {
        "latent_channels": 16,
        "scaling_factor": scaling_factor,
        "shift_factor": shift_factor,
        "force_upcast": False,
        "use_quant_conv": False,
        "use_post_quant_conv": False,
    }
    model = seeded(lambda: AutoencoderKL(**config, **_EIGHTH), seed)
    return _with_contrast(model, model.encoder.conv_out, 1 / scaling_factor)


def flux2(seed: int = 22) -> Any:
    """FLUX.2's autoencoder: 32 channels, normalised two by two pixels at a time."""

    def build() -> AutoencoderKLFlux2:
        model = AutoencoderKLFlux2(latent_channels=32, **_EIGHTH)
        nn.init.normal_(model.bn.running_mean, std=0.2)
        nn.init.uniform_(model.bn.running_var, 0.5, 2.0)
        return model

    model = seeded(build, seed)
    return _with_contrast(model, model.quant_conv, 1.0)


def qwen_image(seed: int = 23) -> Any:
    """Qwen-Image's autoencoder, one for films: its latents have an axis for time.

    It has no blocks but those in the middle, because editing encodes a megapixel however small the picture is.
    """
    model = seeded(lambda: AutoencoderKLQwenImage(base_dim=8, dim_mult=[1, 1, 1, 1], num_res_blocks=0), seed)
    return _with_contrast(model, model.quant_conv, 2.0)


def qwen_image_later(seed: int = 25) -> Any:
    """Qwen-Image 2.1's: a latent pixel for 16 × 16 pixels, whose transparency it keeps."""
    channels = {"z_dim": 16, "latents_mean": [0.0] * 16, "latents_std": [1.0] * 16}
    shape = {"base_dim": 8, "decoder_base_dim": 8, "dim_mult": [1] * 5, "num_res_blocks": 0}
    return seeded(lambda: AutoencoderKLQwenImage21(**shape, **channels), seed)


def deep_compression(seed: int = 24) -> Any:
    """Sana's autoencoder: a latent pixel for 32 × 32 pixels."""
    levels = ("ResBlock",) * 3 + ("EfficientViTBlock",) * 3
    shape = {
        "block_out_channels": (8,) * 5 + (32,),
        "layers_per_block": (1,) * 6,
        "qkv_multiscales": ((),) * 3 + ((5,),) * 3,
    }
    return seeded(
        lambda: AutoencoderDC(
            latent_channels=32,
            attention_head_dim=4,
            encoder_block_types=levels,
            decoder_block_types=levels,
            downsample_block_type="conv",
            upsample_block_type="interpolate",
            scaling_factor=0.41407,
            **{f"{side}_{name}": value for side in ("encoder", "decoder") for name, value in shape.items()},
        ),
        seed,
    )


def _with_contrast(model: Any, last: nn.Module, spread: float) -> Any:
    """`model` as if it had learnt: pictures that differ have latents that do, by `spread`, and the other way round.

    `last` is the last layer of the encoder; the upper half of its channels is about the variance.
    """
    picture = _patchwork()[None, :, None] if isinstance(model, AutoencoderKLQwenImage) else _patchwork()[None]
    last.weight.chunk(2)[1].zero_()
    last.bias.chunk(2)[1].fill_(SURE)
    mean = model.encode(picture).latent_dist.mode()
    _stretch(last.weight.chunk(2)[0], last.bias.chunk(2)[0], mean, spread)
    out = model.decoder.conv_out
    _stretch(out.weight, out.bias, model.decode(model.encode(picture).latent_dist.mode()).sample, 0.4)
    return model


def _stretch(weight: torch.Tensor, bias: torch.Tensor, made: torch.Tensor, spread: float) -> None:
    """Change a layer so that what it `made` would have had a mean of zero and a deviation of `spread`."""
    centre = made.transpose(0, 1).flatten(1).mean(1)
    factor = spread / made.std()
    weight.mul_(factor)
    bias.sub_(centre).mul_(factor)


def _patchwork() -> torch.Tensor:
    """Squares of random colours, from -1 to 1."""
    colours = torch.rand(3, 8, 8, generator=torch.Generator().manual_seed(0)) * 2 - 1
    return colours.repeat_interleave(8, 1).repeat_interleave(8, 2)
