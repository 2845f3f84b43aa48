"""What diffusers calls the layers that a LoRA's file names, whoever trained it.

Trainers write the names of diffusers, of Black Forest Labs, of Stability AI, of Krea or of LDM, with dots or
underscores, behind a prefix of their own. Sources of the names: https://github.com/kohya-ss/sd-scripts,
https://github.com/Nerogar/OneTrainer, https://github.com/ostris/ai-toolkit, https://github.com/KohakuBlueleaf/LyCORIS.
"""

import re
from typing import Final

from msgspec import Struct

WHOLE: Final = {
    "time_in.in_layer": "time_text_embed.timestep_embedder.linear_1",
    "time_in.out_layer": "time_text_embed.timestep_embedder.linear_2",
    "vector_in.in_layer": "time_text_embed.text_embedder.linear_1",
    "vector_in.out_layer": "time_text_embed.text_embedder.linear_2",
    "guidance_in.in_layer": "time_text_embed.guidance_embedder.linear_1",
    "guidance_in.out_layer": "time_text_embed.guidance_embedder.linear_2",
    "txt_in": "context_embedder",
    "img_in": "x_embedder",
    "final_layer.linear": "proj_out",
    "img_mod.lin": "norm1.linear",
    "txt_mod.lin": "norm1_context.linear",
    "img_mlp.0": "ff.net.0.proj",
    "img_mlp.2": "ff.net.2",
    "txt_mlp.0": "ff_context.net.0.proj",
    "txt_mlp.2": "ff_context.net.2",
    "img_attn.proj": "attn.to_out.0",
    "txt_attn.proj": "attn.to_add_out",
    "img_attn.norm.query_norm": "attn.norm_q",
    "img_attn.norm.key_norm": "attn.norm_k",
    "txt_attn.norm.query_norm": "attn.norm_added_q",
    "txt_attn.norm.key_norm": "attn.norm_added_k",
    "modulation.lin": "norm.linear",
    "linear2": "proj_out",
    "norm.query_norm": "attn.norm_q",
    "norm.key_norm": "attn.norm_k",
}
"""Layers of FLUX.1 in the names of Black Forest Labs, and what diffusers calls them."""

JOINED: Final = {
    "img_attn.qkv": ("attn.to_q", "attn.to_k", "attn.to_v"),
    "txt_attn.qkv": ("attn.add_q_proj", "attn.add_k_proj", "attn.add_v_proj"),
    "linear1": ("attn.to_q", "attn.to_k", "attn.to_v", "proj_mlp"),
}
"""Those that are several in diffusers, one below the other."""

BLOCKS: Final = {"double_blocks": "transformer_blocks", "single_blocks": "single_transformer_blocks"}


class Target(Struct, frozen=True):
    """The layers of a model that one layer of a file changes."""

    part: str
    """"denoiser", or a text encoder as diffusers names it."""
    layers: tuple[str, ...]
    """Their names with `_` for every dot; of several, each gets the next rows of the change."""


def target_of(layer: str) -> Target:
    """What `layer`, as a file names it, is in diffusers; a name that no table knows is taken as diffusers' own."""
    flat = layer.replace(".", "_")
    for prefix, encoder in _ENCODERS.items():
        if flat.startswith(prefix):
            return Target(encoder, (flat.removeprefix(prefix).removeprefix("text_model_"),))
    flat = _PREFIX.sub("", flat)
    for pattern, names in _TABLES:
        if found := pattern.fullmatch(flat):
            known = names.get(found["layer"])
            if known is not None:
                return Target("denoiser", tuple(found.expand(name) for name in known))
    return Target("denoiser", (_ldm(flat),))


_ENCODERS: Final = {
    "lora_te1_": "text_encoder",
    "lora_te2_": "text_encoder_2",
    "lora_te3_": "text_encoder_3",
    "lora_te_": "text_encoder",
    "text_encoder_2_": "text_encoder_2",
    "text_encoder_3_": "text_encoder_3",
    "text_encoder_": "text_encoder",
}
_PREFIX: Final = re.compile(
    r"^(?:base_model_model_|model_diffusion_model_|diffusion_model_|lora_unet_|lora_transformer_|lycoris_|unet_"
    r"|transformer_(?!blocks_))+"
)

_Names = dict[str, tuple[str, ...]]


def _flat(name: str) -> str:
    return name.replace(".", "_")


def _behind(prefix: str, names: dict[str, tuple[str, ...]]) -> _Names:
    return {_flat(theirs): tuple(prefix + _flat(one) for one in ours) for theirs, ours in names.items()}


_FLUX: Final = {name: (ours,) for name, ours in WHOLE.items()} | JOINED
_SD3: Final = {
    "mlp.fc1": ("ff{c}.net.0.proj",),
    "mlp.fc2": ("ff{c}.net.2",),
    "adaLN_modulation.1": ("norm1{c}.linear",),
}
_SD3_X: Final = {
    "attn.qkv": ("attn.to_q", "attn.to_k", "attn.to_v"),
    "attn.proj": ("attn.to_out.0",),
    "attn2.qkv": ("attn2.to_q", "attn2.to_k", "attn2.to_v"),
    "attn2.proj": ("attn2.to_out.0",),
} | {name: tuple(one.format(c="") for one in ours) for name, ours in _SD3.items()}
_SD3_CONTEXT: Final = {
    "attn.qkv": ("attn.add_q_proj", "attn.add_k_proj", "attn.add_v_proj"),
    "attn.proj": ("attn.to_add_out",),
} | {name: tuple(one.format(c="_context") for one in ours) for name, ours in _SD3.items()}
_SD3_ELSEWHERE: Final[_Names] = {
    "x_embedder_proj": ("pos_embed_proj",),
    "t_embedder_mlp_0": ("time_text_embed_timestep_embedder_linear_1",),
    "t_embedder_mlp_2": ("time_text_embed_timestep_embedder_linear_2",),
    "y_embedder_mlp_0": ("time_text_embed_text_embedder_linear_1",),
    "y_embedder_mlp_2": ("time_text_embed_text_embedder_linear_2",),
    "final_layer_linear": ("proj_out",),
    "final_layer_adaLN_modulation_1": ("norm_out_linear",),
}
_KREA: Final[dict[str, tuple[str, ...]]] = {
    **{f"attn.w{one}": (f"attn.to_{one}",) for one in "qkv"},
    "attn.wo": ("attn.to_out.0",),
    "attn.gate": ("attn.to_gate",),
    **{f"mlp.{one}": (f"ff.{one}",) for one in ("gate", "up", "down")},
}
_KREA_ELSEWHERE: Final[_Names] = {
    "first": ("img_in",),
    "last_linear": ("final_layer_linear",),
    "tmlp_0": ("time_embed_linear_1",),
    "tmlp_2": ("time_embed_linear_2",),
    "tproj_1": ("time_mod_proj",),
    "txtmlp_1": ("txt_in_linear_1",),
    "txtmlp_3": ("txt_in_linear_2",),
    "txtfusion_projector": ("text_fusion_projector",),
}
_Z_IMAGE: Final = {"qkv": ("to_q", "to_k", "to_v"), "out": ("to_out.0",)}

_TABLES: Final[tuple[tuple[re.Pattern[str], _Names], ...]] = (
    (re.compile(r"double_blocks_(?P<n>\d+)_(?P<layer>.+)"), _behind(r"transformer_blocks_\g<n>_", _FLUX)),
    (re.compile(r"single_blocks_(?P<n>\d+)_(?P<layer>.+)"), _behind(r"single_transformer_blocks_\g<n>_", _FLUX)),
    (re.compile(r"joint_blocks_(?P<n>\d+)_x_block_(?P<layer>.+)"), _behind(r"transformer_blocks_\g<n>_", _SD3_X)),
    (
        re.compile(r"joint_blocks_(?P<n>\d+)_context_block_(?P<layer>.+)"),
        _behind(r"transformer_blocks_\g<n>_", _SD3_CONTEXT),
    ),
    (
        re.compile(r"(?P<place>(?:layers|noise_refiner|context_refiner)_\d+)_attention_(?P<layer>.+)"),
        _behind(r"\g<place>_attention_", _Z_IMAGE),
    ),
    (re.compile(r"(?:transformer_)?blocks_(?P<n>\d+)_(?P<layer>.+)"), _behind(r"transformer_blocks_\g<n>_", _KREA)),
    (
        re.compile(r"txtfusion_(?P<place>(?:layerwise|refiner)_blocks_\d+)_(?P<layer>.+)"),
        _behind(r"text_fusion_\g<place>_", _KREA),
    ),
    (re.compile(r"(?P<layer>.+_(?:in_layer|out_layer)|txt_in|img_in)"), _behind("", _FLUX)),
    (re.compile(r"(?P<layer>.+)"), _SD3_ELSEWHERE | _KREA_ELSEWHERE),
)
"""By where a layer lies, the names below that place."""

_INSIDE: Final = (
    ("in_layers_2", "conv1"),
    ("out_layers_3", "conv2"),
    ("emb_layers_1", "time_emb_proj"),
    ("skip_connection", "conv_shortcut"),
)
_BLOCK: Final = re.compile(r"(?P<side>input|output|middle)_blocks?_(?P<n>\d+)_(?:(?P<k>\d+)_)?(?P<rest>.+)")


def _ldm(flat: str) -> str:
    """A layer of a UNet in LDM's names, as kohya writes those of SDXL: blocks are counted through, not by level."""
    found = _BLOCK.fullmatch(flat)
    if found is None:
        return flat
    side, number, kind, rest = found["side"], int(found["n"]), int(found["k"] or 0), found["rest"]
    for theirs, ours in _INSIDE:
        rest = rest.replace(theirs, ours)
    if side == "middle":
        place = ("mid_block_resnets_0", "mid_block_attentions_0", "mid_block_resnets_1")[number % 3]
        # of a middle block the second number belongs to what is inside
        return f"{place}_{rest}" if found["k"] is None else f"{place}_{found['k']}_{rest}"
    level, layer = divmod(number - (side == "input"), 3)
    block = f"{'down' if side == 'input' else 'up'}_blocks_{level}"
    if rest == "op":
        return f"{block}_downsamplers_0_conv"
    if rest == "conv":
        return f"{block}_upsamplers_0_conv"
    return f"{block}_{'attentions' if kind else 'resnets'}_{layer}_{rest}"
