"""FLUX.1 transformers under the names of Black Forest Labs, told in diffusers' names without a copy.

The authors' files hold queries, keys and values of a layer as one matrix, one below the other; each of the parts is a
view of its rows, so that a mapped file stays mapped, and blocks of few bits stay what they are.
"""

import re
from collections.abc import Iterator, Mapping
from typing import Final

import torch

from tui.library.layer_names import BLOCKS, JOINED, WHOLE

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
    prefix = f"{BLOCKS[blocks]}.{found['number']}." if blocks else ""
    what = "weight" if found["what"] == "scale" else found["what"]
    if layer in WHOLE:
        yield f"{prefix}{WHOLE[layer]}.{what}", tensor
    elif layer == "final_layer.adaLN_modulation.1":
        shift, scale = tensor.chunk(2)
        yield f"norm_out.linear.{what}", torch.cat([scale, shift])
    elif layer in JOINED and blocks:
        width = tensor.shape[0] // 3 if layer != "linear1" else _width(tensors)
        parts = JOINED[layer]
        sizes = [width] * 3 + [tensor.shape[0] - 3 * width] * (len(parts) - 3)
        for part, rows in zip(parts, torch.split(tensor, sizes), strict=True):
            yield f"{prefix}{part}.{what}", rows
    else:
        yield name, tensor


def _width(tensors: Mapping[str, torch.Tensor]) -> int:
    """How wide the stream is: as many rows as what comes into it has."""
    return tensors["img_in.weight"].shape[0]
