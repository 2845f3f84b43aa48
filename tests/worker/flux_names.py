"""A FLUX.1 transformer under the names of Black Forest Labs, as its authors and most who share it have it."""

import re
from collections.abc import Mapping
from typing import Final

import torch

_TOP: Final = {
    "time_text_embed.timestep_embedder.linear_1": "time_in.in_layer",
    "time_text_embed.timestep_embedder.linear_2": "time_in.out_layer",
    "time_text_embed.text_embedder.linear_1": "vector_in.in_layer",
    "time_text_embed.text_embedder.linear_2": "vector_in.out_layer",
    "time_text_embed.guidance_embedder.linear_1": "guidance_in.in_layer",
    "time_text_embed.guidance_embedder.linear_2": "guidance_in.out_layer",
    "context_embedder": "txt_in",
    "x_embedder": "img_in",
    "proj_out": "final_layer.linear",
}
_DOUBLE: Final = {
    "norm1.linear": "img_mod.lin",
    "norm1_context.linear": "txt_mod.lin",
    "ff.net.0.proj": "img_mlp.0",
    "ff.net.2": "img_mlp.2",
    "ff_context.net.0.proj": "txt_mlp.0",
    "ff_context.net.2": "txt_mlp.2",
    "attn.to_out.0": "img_attn.proj",
    "attn.to_add_out": "txt_attn.proj",
}
_NORMS: Final = {
    "attn.norm_q": "img_attn.norm.query_norm",
    "attn.norm_k": "img_attn.norm.key_norm",
    "attn.norm_added_q": "txt_attn.norm.query_norm",
    "attn.norm_added_k": "txt_attn.norm.key_norm",
}
_JOINED: Final = {
    "img_attn.qkv": ("attn.to_q", "attn.to_k", "attn.to_v"),
    "txt_attn.qkv": ("attn.add_q_proj", "attn.add_k_proj", "attn.add_v_proj"),
}
_SINGLE: Final = ("attn.to_q", "attn.to_k", "attn.to_v", "proj_mlp")


def black_forest_labs(weights: Mapping[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """`weights`, under diffusers' names, as the authors lay them out."""
    named: dict[str, torch.Tensor] = {}
    for ours, theirs in _TOP.items():
        for ending in ("weight", "bias"):
            if f"{ours}.{ending}" in weights:
                named[f"{theirs}.{ending}"] = weights[f"{ours}.{ending}"]
    for ending in ("weight", "bias"):
        scale, shift = weights[f"norm_out.linear.{ending}"].chunk(2)
        named[f"final_layer.adaLN_modulation.1.{ending}"] = torch.cat([shift, scale])
    for number in _numbers(weights, "transformer_blocks"):
        ours, theirs = f"transformer_blocks.{number}", f"double_blocks.{number}"
        for ending in ("weight", "bias"):
            for one, other in _DOUBLE.items():
                named[f"{theirs}.{other}.{ending}"] = weights[f"{ours}.{one}.{ending}"]
            for joined, parts in _JOINED.items():
                named[f"{theirs}.{joined}.{ending}"] = torch.cat([weights[f"{ours}.{one}.{ending}"] for one in parts])
        for one, other in _NORMS.items():
            named[f"{theirs}.{other}.scale"] = weights[f"{ours}.{one}.weight"]
    for number in _numbers(weights, "single_transformer_blocks"):
        ours, theirs = f"single_transformer_blocks.{number}", f"single_blocks.{number}"
        for ending in ("weight", "bias"):
            named[f"{theirs}.modulation.lin.{ending}"] = weights[f"{ours}.norm.linear.{ending}"]
            named[f"{theirs}.linear1.{ending}"] = torch.cat([weights[f"{ours}.{one}.{ending}"] for one in _SINGLE])
            named[f"{theirs}.linear2.{ending}"] = weights[f"{ours}.proj_out.{ending}"]
        named[f"{theirs}.norm.query_norm.scale"] = weights[f"{ours}.attn.norm_q.weight"]
        named[f"{theirs}.norm.key_norm.scale"] = weights[f"{ours}.attn.norm_k.weight"]
    return named


def _numbers(weights: Mapping[str, torch.Tensor], blocks: str) -> list[int]:
    found = (re.match(rf"{blocks}\.(\d+)\.", name) for name in weights)
    return sorted({int(one[1]) for one in found if one})
