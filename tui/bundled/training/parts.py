"""The model's parts: as the bundled model's configurations describe them, or from finished weights; and saved again."""

import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

import torch
from diffusers import AutoencoderKL, ControlNetModel, UNet2DConditionModel
from safetensors.torch import load_file, save_file
from transformers import CLIPTextConfig, CLIPTextModel

from tui.protocol.problem import LatenttyError, Problem

BUNDLED: Final = Path(__file__).parents[1]

MODEL: Final = "emoji-tiny"
"""The name of the folder with the whole model; those of what goes with it begin with it."""

CONTROL: Final = f"{MODEL}-control-edges"

WEIGHTS: Final = "diffusion_pytorch_model.safetensors"

TEXT_WEIGHTS: Final = "model.safetensors"

FROM_UNET: Final = (
    "block_out_channels",
    "layers_per_block",
    "attention_head_dim",
    "cross_attention_dim",
    "norm_num_groups",
    "use_linear_projection",
)
"""What a ControlNet must have in common with the UNet that it steers."""


def new_unet() -> Any:
    """A UNet of the bundled model's shape that has learned nothing: its first prediction is 0 everywhere."""
    unet = UNet2DConditionModel.from_config(UNet2DConditionModel.load_config(BUNDLED / MODEL / "unet"))
    torch.nn.init.zeros_(unet.conv_out.weight)
    torch.nn.init.zeros_(unet.conv_out.bias)
    return unet


def new_text_encoder() -> Any:
    """A text encoder of the bundled model's shape that has learned nothing."""
    return CLIPTextModel(CLIPTextConfig.from_pretrained(BUNDLED / MODEL / "text_encoder"))


def new_autoencoder() -> Any:
    """An autoencoder of the bundled model's shape that has learned nothing."""
    return AutoencoderKL.from_config(AutoencoderKL.load_config(BUNDLED / MODEL / "vae"))


def new_control(unet: Any) -> Any:
    """A ControlNet that has all of `unet` that fits it, and else changes nothing yet."""
    configuration = dict(ControlNetModel.load_config(BUNDLED / CONTROL))
    configuration |= {name: unet.config[name] for name in FROM_UNET}
    control = ControlNetModel.from_config(configuration)
    known, own = unet.state_dict(), control.state_dict()
    control.load_state_dict(
        {name: known[name] for name, one in own.items() if name in known and known[name].shape == one.shape},
        strict=False,
    )
    return control


def load_unet(model: Path) -> Any:
    """The UNet of the model in the folder `model`, in float32.

    Raises:
        LatenttyError: it cannot be loaded.
    """
    return _loaded(UNet2DConditionModel, model / "unet")


def load_text_encoder(model: Path) -> Any:
    """The text encoder of `model`, in float32.

    Raises:
        LatenttyError: it cannot be loaded.
    """
    return _loaded(CLIPTextModel, model / "text_encoder")


def load_autoencoder(model: Path) -> Any:
    """The autoencoder of `model`, in float32.

    Raises:
        LatenttyError: it cannot be loaded.
    """
    return _loaded(AutoencoderKL, model / "vae")


def frozen(module: Any, device: torch.device) -> Any:
    """`module` on `device`, to be used but not to be taught."""
    return module.to(device).requires_grad_(False).eval()


def copy_model(source: Path, target: Path) -> None:
    """Copy the model or the part `source` to `target`, where some of it may already be; that stays.

    Raises:
        OSError: it cannot be written.
    """
    for path in sorted(source.rglob("*")):
        place = target / path.relative_to(source)
        if path.is_file() and not place.exists():
            place.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(path, place)


def save_part(module: Any, folder: Path) -> None:
    """Write the weights of `module` in float16 into `folder`."""
    folder.mkdir(parents=True, exist_ok=True)
    name = TEXT_WEIGHTS if isinstance(module, CLIPTextModel) else WEIGHTS
    save_weights(module.state_dict(), folder / name)


def save_weights(weights: Mapping[str, torch.Tensor], path: Path, **metadata: str) -> None:
    """Write `weights` in float16 to `path`, all at once, with `metadata` in its header."""
    halves = {name: one.detach().to(torch.float16).cpu().contiguous() for name, one in weights.items()}
    unfinished = path.with_name(path.name + ".part")
    save_file(halves, unfinished, metadata={"format": "pt", **metadata})
    unfinished.replace(path)


def read_weights(path: Path) -> dict[str, torch.Tensor]:
    """The tensors in the file `path`, in float32."""
    return {name: one.float() for name, one in load_file(path).items()}


def count_parameters(module: Any) -> int:
    """How many numbers `module` learns."""
    return sum(one.numel() for one in module.parameters())


def _loaded(kind: Any, folder: Path) -> Any:
    try:
        return kind.from_pretrained(folder, local_files_only=True).float()
    except OSError as error:
        cause = f"{folder} cannot be loaded: {error}."
        raise LatenttyError(
            Problem(code="model_missing", cause=cause, hint="Name the folder of a diffusers model.")
        ) from None
