"""Weights of 8 bits that files hold beside the scale that makes them numbers again."""

from collections.abc import Mapping
from typing import Final

import torch

_SCALES: Final = (".scale_weight", ".weight_scale")
"""What writers put after a layer's name for its scale."""

_ASIDE: Final = (*_SCALES, ".scale_input", ".input_scale", ".comfy_quant", "scaled_fp8")
"""The endings of what is no weight."""


def unscaled(tensors: Mapping[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """`tensors` with every weight of 8 bits that has a scale multiplied by it, in bfloat16; the others as they are."""
    scales = {
        name.removesuffix(ending): scale
        for name, scale in tensors.items()
        for ending in _SCALES
        if name.endswith(ending)
    }
    if not scales:
        return dict(tensors)
    result: dict[str, torch.Tensor] = {}
    for name, tensor in tensors.items():
        if name.endswith(_ASIDE):
            continue
        scale = scales.get(name.removesuffix(".weight")) if name.endswith(".weight") else None
        if scale is not None and tensor.itemsize == 1:
            by = scale.float().reshape(-1, *[1] * (tensor.ndim - 1)) if scale.numel() > 1 else scale.float()
            tensor = (tensor.float() * by).to(torch.bfloat16)
        result[name] = tensor
    return result
