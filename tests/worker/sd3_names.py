"""A Stable Diffusion 3 transformer under the names of Stability AI, as its authors and most who share it have it."""

import re
from collections.abc import Mapping
from typing import Final

import torch

_TOP: Final = {
    "pos_embed.proj": "x_embedder.proj",
    "time_text_embed.timestep_embedder.linear_1": "t_embedder.mlp.0",
    "time_text_embed.timestep_embedder.linear_2": "t_embedder.mlp.2",
    "time_text_embed.text_embedder.linear_1": "y_embedder.mlp.0",
    "time_text_embed.text_embedder.linear_2": "y_embedder.mlp.2",
    "context_embedder": "context_embedder",
    "proj_out": "final_layer.linear",
}
_BLOCK: Final = {
    "norm1.linear": "x_block.adaLN_modulation.1",
    "norm1_context.linear": "context_block.adaLN_modulation.1",
    "attn.to_out.0": "x_block.attn.proj",
    "attn.to_add_out": "context_block.attn.proj",
    "ff.net.0.proj": "x_block.mlp.fc1",
    "ff.net.2": "x_block.mlp.fc2",
    "ff_context.net.0.proj": "context_block.mlp.fc1",
    "ff_context.net.2": "context_block.mlp.fc2",
}
_JOINED: Final = {
    "x_block.attn.qkv": ("attn.to_q", "attn.to_k", "attn.to_v"),
    "context_block.attn.qkv": ("attn.add_q_proj", "attn.add_k_proj", "attn.add_v_proj"),
}


def stability(weights: Mapping[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """`weights`, under diffusers' names, as the authors lay them out."""
    last = max(int(found[1]) for name in weights if (found := re.match(r"transformer_blocks\.(\d+)\.", name)))
    named = {"pos_embed": weights["pos_embed.pos_embed"]}
    for ending in ("weight", "bias"):
        named |= {f"{theirs}.{ending}": weights[f"{ours}.{ending}"] for ours, theirs in _TOP.items()}
        named[f"final_layer.adaLN_modulation.1.{ending}"] = _swapped(weights[f"norm_out.linear.{ending}"])
        for number in range(last + 1):
            ours, theirs = f"transformer_blocks.{number}.", f"joint_blocks.{number}."
            for one, other in _BLOCK.items():
                if f"{ours}{one}.{ending}" in weights:
                    named[f"{theirs}{other}.{ending}"] = weights[f"{ours}{one}.{ending}"]
            for joined, parts in _JOINED.items():
                named[f"{theirs}{joined}.{ending}"] = torch.cat([weights[f"{ours}{one}.{ending}"] for one in parts])
        modulation = f"joint_blocks.{last}.context_block.adaLN_modulation.1.{ending}"
        named[modulation] = _swapped(named[modulation])
    return named


def _swapped(halves: torch.Tensor) -> torch.Tensor:
    """Scale and shift, which diffusers holds in the other order."""
    scale, shift = halves.chunk(2)
    return torch.cat([shift, scale])
