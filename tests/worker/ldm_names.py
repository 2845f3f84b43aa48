"""A diffusers model's weights under the names that LDM gave them, as checkpoints of one file have them."""

import re
from collections.abc import Mapping
from typing import Any

import torch

_UNET_ENDS = {
    "time_embedding.linear_1": "time_embed.0",
    "time_embedding.linear_2": "time_embed.2",
    "add_embedding.linear_1": "label_emb.0.0",
    "add_embedding.linear_2": "label_emb.0.2",
    "conv_in": "input_blocks.0.0",
    "conv_norm_out": "out.0",
    "conv_out": "out.2",
}
_UNET_RESNET = {
    "norm1": "in_layers.0",
    "conv1": "in_layers.2",
    "norm2": "out_layers.0",
    "conv2": "out_layers.3",
    "time_emb_proj": "emb_layers.1",
    "conv_shortcut": "skip_connection",
}


def unet(weights: Mapping[str, torch.Tensor], config: Any) -> dict[str, torch.Tensor]:
    """The UNet's, without their prefix."""
    per_block = config["layers_per_block"]
    renamed = {}
    for name, tensor in weights.items():
        renamed[_unet_name(name, per_block)] = tensor
    return renamed


def _unet_name(name: str, per_block: int) -> str:
    layer, _, kind = name.rpartition(".")
    if layer in _UNET_ENDS:
        return f"{_UNET_ENDS[layer]}.{kind}"
    match = re.match(r"(down|up)_blocks\.(\d+)\.(resnets|attentions|downsamplers|upsamplers)\.(\d+)\.(.*)", name)
    if match:
        side, block, part, index, rest = match[1], int(match[2]), match[3], int(match[4]), match[5]
        if side == "down":
            number = block * (per_block + 1) + index + 1
            if part == "downsamplers":
                return f"input_blocks.{(block + 1) * (per_block + 1)}.0.{rest.replace('conv.', 'op.')}"
            return f"input_blocks.{number}.{_inside(part, rest)}"
        number = block * (per_block + 1) + index
        if part == "upsamplers":
            return f"output_blocks.{block * (per_block + 1) + per_block}.UP.{rest}"
        return f"output_blocks.{number}.{_inside(part, rest)}"
    match = re.match(r"mid_block\.(resnets|attentions)\.(\d+)\.(.*)", name)
    assert match, name
    if match[1] == "attentions":
        return f"middle_block.1.{match[3]}"
    return f"middle_block.{int(match[2]) * 2}.{_resnet(match[3])}"


def _inside(part: str, rest: str) -> str:
    return f"0.{_resnet(rest)}" if part == "resnets" else f"1.{rest}"


def _resnet(rest: str) -> str:
    layer, _, kind = rest.rpartition(".")
    return f"{_UNET_RESNET[layer]}.{kind}"


def controlnet(weights: Mapping[str, torch.Tensor], config: Any) -> dict[str, torch.Tensor]:
    """A ControlNet's, with the prefix that its authors gave it."""
    return {f"control_model.{_control_name(name, config)}": tensor for name, tensor in weights.items()}


def _control_name(name: str, config: Any) -> str:
    hint = re.match(r"controlnet_cond_embedding\.(conv_in|conv_out|blocks)\.?(\d*)\.(\w+)$", name)
    if hint:
        last = 4 * len(config["conditioning_embedding_out_channels"]) - 2
        place = {"conv_in": 0, "conv_out": last}.get(hint[1]) if not hint[2] else 2 * int(hint[2]) + 2
        return f"input_hint_block.{place}.{hint[3]}"
    name = re.sub(r"^controlnet_down_blocks\.(\d+)\.", r"zero_convs.\1.0.", name)
    if name.startswith("zero_convs."):
        return name
    if name.startswith("controlnet_mid_block."):
        return name.replace("controlnet_mid_block.", "middle_block_out.0.")
    return _unet_name(name, config["layers_per_block"])


def placed_upsamplers(weights: Mapping[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """An upsampler comes behind the attention, where its block has one."""
    names = {}
    for name, tensor in weights.items():
        if ".UP." in name:
            block = name.partition(".UP.")[0]
            behind = 2 if any(other.startswith(f"{block}.1.") and ".UP." not in other for other in weights) else 1
            name = name.replace(".UP.", f".{behind}.")
        names[name] = tensor
    return names


def vae(weights: Mapping[str, torch.Tensor], levels: int) -> dict[str, torch.Tensor]:
    """The VAE's, without their prefix."""
    renamed = {}
    for name, tensor in weights.items():
        new = name.replace("conv_norm_out", "norm_out").replace("conv_shortcut", "nin_shortcut")
        new = re.sub(r"mid_block\.attentions\.0\.", "mid.attn_1.", new)
        new = re.sub(r"mid_block\.resnets\.(\d)\.", lambda m: f"mid.block_{int(m[1]) + 1}.", new)
        new = re.sub(r"encoder\.down_blocks\.(\d)\.resnets\.(\d)\.", r"encoder.down.\1.block.\2.", new)
        new = re.sub(r"encoder\.down_blocks\.(\d)\.downsamplers\.0\.", r"encoder.down.\1.downsample.", new)
        new = re.sub(
            r"decoder\.up_blocks\.(\d)\.resnets\.(\d)\.",
            lambda m: f"decoder.up.{levels - 1 - int(m[1])}.block.{m[2]}.",
            new,
        )
        new = re.sub(
            r"decoder\.up_blocks\.(\d)\.upsamplers\.0\.",
            lambda m: f"decoder.up.{levels - 1 - int(m[1])}.upsample.",
            new,
        )
        if "attn_1." in new:
            for ours, theirs in (
                ("group_norm", "norm"),
                ("to_q", "q"),
                ("to_k", "k"),
                ("to_v", "v"),
                ("to_out.0", "proj_out"),
            ):
                new = new.replace(f"attn_1.{ours}.", f"attn_1.{theirs}.")
            if new.endswith(".weight") and tensor.ndim == 2:
                tensor = tensor[:, :, None, None]
        renamed[new] = tensor
    return renamed


def clip(weights: Mapping[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """A CLIP text encoder's, as transformers once called them."""
    return {
        name if name.startswith("text_model.") else f"text_model.{name}": tensor for name, tensor in weights.items()
    }


def open_clip(weights: Mapping[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """An OpenCLIP text encoder's: query, key and value in one matrix."""
    renamed: dict[str, torch.Tensor] = {}
    plain = {name.removeprefix("text_model."): tensor for name, tensor in weights.items()}
    ends = {
        "embeddings.position_embedding.weight": "positional_embedding",
        "embeddings.token_embedding.weight": "token_embedding.weight",
        "final_layer_norm.weight": "ln_final.weight",
        "final_layer_norm.bias": "ln_final.bias",
    }
    for name, tensor in plain.items():
        if name in ends:
            renamed[ends[name]] = tensor
        elif name == "text_projection.weight":
            renamed["text_projection"] = tensor.T
        elif ".self_attn.q_proj." in name:
            others = [plain[name.replace("q_proj", f"{one}_proj")] for one in "qkv"]
            kind = name.rpartition(".")[2]
            layer = name.partition(".self_attn.")[0].replace("encoder.layers.", "transformer.resblocks.")
            renamed[f"{layer}.attn.in_proj_{kind}"] = torch.cat(others)
        elif ".k_proj." not in name and ".v_proj." not in name:
            new = name.replace("encoder.layers.", "transformer.resblocks.").replace(
                "self_attn.out_proj", "attn.out_proj"
            )
            for ours, theirs in (("layer_norm1", "ln_1"), ("layer_norm2", "ln_2"), ("fc1", "c_fc"), ("fc2", "c_proj")):
                new = new.replace(f".{ours}.", f".{theirs}.")
            renamed[new] = tensor
    return renamed


def checkpoint(
    parts: Mapping[str, Mapping[str, torch.Tensor]], unet_config: Any, levels: int
) -> dict[str, torch.Tensor]:
    """A whole checkpoint of `parts`: SDXL's where there is a second text encoder, else Stable Diffusion 1's."""
    together = {
        f"model.diffusion_model.{name}": tensor
        for name, tensor in placed_upsamplers(unet(parts["unet"], unet_config)).items()
    }
    together |= {f"first_stage_model.{name}": tensor for name, tensor in vae(parts["vae"], levels).items()}
    if "text_encoder_2" in parts:
        first, second = "conditioner.embedders.0.transformer.", "conditioner.embedders.1.model."
        together |= {second + name: tensor for name, tensor in open_clip(parts["text_encoder_2"]).items()}
    else:
        first = "cond_stage_model.transformer."
    together |= {first + name: tensor for name, tensor in clip(parts["text_encoder"]).items()}
    return together
