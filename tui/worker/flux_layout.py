"""FLUX.1 transformers under the names of Black Forest Labs, told in diffusers' names without a copy.

The authors' files hold queries, keys and values of a layer as one matrix, one below the other; each of the parts is a
view of its rows, so that a mapped file stays mapped, and blocks of few bits stay what they are.
"""

import re
from collections.abc import Iterator, Mapping
from typing import Final

import torch

_WHOLE: Final = {
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
_JOINED: Final = {
    "img_attn.qkv": ("attn.to_q", "attn.to_k", "attn.to_v"),
    "txt_attn.qkv": ("attn.add_q_proj", "attn.add_k_proj", "attn.add_v_proj"),
    "linear1": ("attn.to_q", "attn.to_k", "attn.to_v", "proj_mlp"),
}
_BLOCKS: Final = {"double_blocks": "transformer_blocks", "single_blocks": "single_transformer_blocks"}
_PLACE: Final = re.compile(
    r"(?:(?P<blocks>double_blocks|single_blocks)\.(?P<number>\d+)\.)?(?P<layer>.+)\.(?P<what>\w+)"
)


def in_diffusers_names(tensors: Mapping[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """`tensors`, a transformer's under the authors' names, in diffusers'; those that have these already keep them."""
    if "img_in.weight" not in tensors:
        return dict(tensors)
    return dict(one for name, tensor in tensors.items() for one in _renamed(name, tensor, tensors))


def _renamed(
    name: str, tensor: torch.Tensor, tensors: Mapping[str, torch.Tensor]
) -> Iterator[tuple[str, torch.Tensor]]:
    found = _PLACE.fullmatch(name)
    if found is None:
        yield name, tensor
        return
    blocks, layer = found["blocks"], found["layer"]
    prefix = f"{_BLOCKS[blocks]}.{found['number']}." if blocks else ""
    what = "weight" if found["what"] == "scale" else found["what"]
    if layer in _WHOLE:
        yield f"{prefix}{_WHOLE[layer]}.{what}", tensor
    elif layer == "final_layer.adaLN_modulation.1":
        shift, scale = tensor.chunk(2)
        yield f"norm_out.linear.{what}", torch.cat([scale, shift])
    elif layer in _JOINED and blocks:
        width = tensor.shape[0] // 3 if layer != "linear1" else _width(tensors)
        parts = _JOINED[layer]
        sizes = [width] * 3 + [tensor.shape[0] - 3 * width] * (len(parts) - 3)
        for part, rows in zip(parts, torch.split(tensor, sizes), strict=True):
            yield f"{prefix}{part}.{what}", rows
    else:
        yield name, tensor


def _width(tensors: Mapping[str, torch.Tensor]) -> int:
    """How wide the stream is: as many rows as what comes into it has."""
    return tensors["img_in.weight"].shape[0]
