"""LyCORIS files as LoRAs: a LoHa's and a LoKr's change of a weight is a product of two matrices like any other's.

Source of the two forms: https://github.com/KohakuBlueleaf/LyCORIS (loha.py, lokr.py). Both are exact here, not
approximations. A product of so high a rank that it would be larger than the weights it changes stays a Kronecker
product, see :mod:`tui.worker.variants`; where it cannot, the file is refused.
"""

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

import torch

from tui.library.adapter_header import unusable

MAX_RANK: Final = 320
"""Of a converted layer: beyond it the two factors outgrow the weight itself."""

_FACTOR: Final = re.compile(r"\.(?:lora|lora_linear_layer)\.(?:down|up)\.weight$|\.lora_[AB]\.weight$")

Factors = tuple[torch.Tensor, torch.Tensor]
"""(outputs, rank) and (rank, inputs), whose product is the change."""


def as_lora(path: Path, tensors: Mapping[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """The LoHa or LoKr in `tensors` as a LoRA in kohya's form, its scale worked in.

    Raises:
        LatenttyError: a layer has no form as a LoRA of reasonable size.
    """
    layers: dict[str, dict[str, torch.Tensor]] = {}
    for name, tensor in tensors.items():
        layer, _, part = name.removesuffix(".weight").rpartition(".")
        layers.setdefault(layer, {})[part] = tensor
    converted: dict[str, torch.Tensor] = {}
    for layer, parts in layers.items():
        up, down = checked_factors(path, layer, parts)
        converted[f"{layer}.lora_up.weight"], converted[f"{layer}.lora_down.weight"] = up, down
    return converted


def checked_factors(path: Path, layer: str, parts: Mapping[str, torch.Tensor]) -> Factors:
    """The two factors of the change of `layer`, its scale worked in.

    Raises:
        LatenttyError: it has no form as a LoRA of reasonable size.
    """
    up, down = _factors(path, layer, parts)
    if down.shape[0] > MAX_RANK and "lora_down" not in parts:
        raise unusable(
            path,
            f"its layer {layer} would be a LoRA of rank {down.shape[0]}, larger than the weight it changes",
            "Train it with a smaller factor, or merge it into a checkpoint.",
        )
    return up, down


def _factors(path: Path, layer: str, parts: Mapping[str, torch.Tensor]) -> Factors:
    if "hada_w1_a" in parts:
        return _hadamard(parts)
    if is_kronecker(parts):
        return _kronecker(parts)
    if {"lora_up", "lora_down"} <= parts.keys() <= {"lora_up", "lora_down", "lora_mid", "alpha"}:
        return _plain(parts)
    raise unusable(path, f"its layer {layer} is of a kind that we cannot convert ({', '.join(sorted(parts))})")


def is_kronecker(parts: Mapping[str, torch.Tensor]) -> bool:
    """Whether they are a LoKr's."""
    return "lokr_w1" in parts or "lokr_w1_a" in parts


def kronecker_factors(parts: Mapping[str, torch.Tensor]) -> Factors:
    """The two matrices, the second perhaps a convolution's kernels, whose Kronecker product is a LoKr's change."""
    first, second, rank = _first(parts), _second(parts), 0
    for name in ("lokr_w1_b", "lokr_w2_b"):
        rank = parts[name].shape[0] if name in parts else rank
    return first * (_scale(parts, rank) if rank else 1.0), second


def kronecker_rank(parts: Mapping[str, torch.Tensor], factors: Factors) -> int:
    """The rank that a LoKr would have as a LoRA; `factors` are its own."""
    low = "lokr_w2_b" in parts and "lokr_t2" not in parts
    second = parts["lokr_w2_b"].shape[0] if low else min(factors[1].flatten(1).shape)
    return int(min(factors[0].shape) * second)


def _first(parts: Mapping[str, torch.Tensor]) -> torch.Tensor:
    if "lokr_w1" in parts:
        return parts["lokr_w1"].float()
    return parts["lokr_w1_a"].float() @ parts["lokr_w1_b"].float()


def _second(parts: Mapping[str, torch.Tensor]) -> torch.Tensor:
    if "lokr_w2" in parts:
        return parts["lokr_w2"].float()
    left, right = parts["lokr_w2_a"].float(), parts["lokr_w2_b"].float()
    if "lokr_t2" in parts:  # a Tucker decomposition of kernels
        return torch.einsum("ijhw,ip,jr->prhw", parts["lokr_t2"].float(), left, right)
    return (left @ right.flatten(1)).view(left.shape[0], *right.shape[1:])


def _scale(parts: Mapping[str, torch.Tensor], rank: int) -> float:
    return float(parts["alpha"]) / rank if "alpha" in parts else 1.0


def _plain(parts: Mapping[str, torch.Tensor]) -> Factors:
    up, down = parts["lora_up"].float(), parts["lora_down"].float()
    if "lora_mid" in parts:  # a LoCon's kernel between two matrices
        down = torch.einsum("abhw,bi->aihw", parts["lora_mid"].float(), down.flatten(1))
    return up.flatten(1) * _scale(parts, down.shape[0]), down.flatten(1)


def _hadamard(parts: Mapping[str, torch.Tensor]) -> Factors:
    """(A·B) ∘ (C·D): every pair of one's and the other's ranks is a rank of the whole."""
    (a, b), (c, d) = (_hadamard_side(parts, number) for number in (1, 2))
    up = (a[:, :, None] * c[:, None, :]).flatten(1)
    down = (b[:, None, :] * d[None, :, :]).flatten(0, 1)
    return up * _scale(parts, b.shape[0]), down


def _hadamard_side(parts: Mapping[str, torch.Tensor], number: int) -> Factors:
    left, right = (parts[f"hada_w{number}_{side}"].float() for side in ("a", "b"))
    if (middle := parts.get(f"hada_t{number}")) is None:
        return left.flatten(1), right.flatten(1)
    # a Tucker decomposition of kernels: the first matrix lies on its side
    return left.T, torch.einsum("ijhw,jr->irhw", middle.float(), right).flatten(1)


def _kronecker(parts: Mapping[str, torch.Tensor]) -> Factors:
    """W1 ⊗ (U·V) = (W1 ⊗ U)·(I ⊗ V), or (I ⊗ U)·(W1 ⊗ V) where that is smaller."""
    first, second = kronecker_factors(parts)
    if "lokr_w2" in parts or "lokr_t2" in parts:
        whole = second.flatten(1)
        wide = whole.shape[0] < whole.shape[1]
        left, right = (torch.eye(whole.shape[0]), whole) if wide else (whole, torch.eye(whole.shape[1]))
    else:
        left, right = parts["lokr_w2_a"].float(), parts["lokr_w2_b"].float().flatten(1)
    rows, columns = first.shape
    if rows < columns:
        return torch.kron(torch.eye(rows), left), torch.kron(first, right)
    return torch.kron(first, left), torch.kron(torch.eye(columns), right)


def shaped(converted: Mapping[str, torch.Tensor], modules: Mapping[str, Any]) -> dict[str, torch.Tensor]:
    """`converted`, in diffusers' names, with the factors of convolutions in a convolution's shape.

    `modules` are the layers by the same names, such as "unet.down_blocks.0.resnets.0.conv1".
    """
    result: dict[str, torch.Tensor] = {}
    for name, tensor in converted.items():
        layer = modules.get(_FACTOR.sub("", name))
        kernel = tuple(getattr(layer, "kernel_size", ()) or ())
        if kernel and tensor.ndim == 2:
            is_down = ".down." in name or ".lora_A." in name
            shape = (tensor.shape[0], -1, *kernel) if is_down else (*tensor.shape, 1, 1)
            tensor = tensor.reshape(shape)
        result[name] = tensor.contiguous()
    return result
