"""Changes of a layer that are no plain LoRA: what peft calls for them instead.

A DoRA gives each row, or each column, of the changed weight a length of its own (https://arxiv.org/abs/2402.09353);
lengths of columns are what LyCORIS writes unless it is told `wd_on_output`. At a weight of 1 the layer's weight is what
the file says. At another, as in ComfyUI and A1111, it lies between that and the model's own; peft's DoRA, which we do
not use, would change the model even at 0.
"""

from collections.abc import Sequence
from typing import Any

import torch
from diffusers.quantizers.gguf.utils import GGUFParameter, dequantize_gguf_tensor
from peft.tuners.lora.layer import LoraVariant
from torch import nn


class Kronecker:
    """A LoKr's change of a layer, kept as its two factors: their product may be larger than the layer's weight.

    `first`: (a, b); `second`: (c, d), or (c, d, height, width) for a convolution. `rows` are those of the product that
    the layer gets.
    """

    def __init__(self, first: torch.Tensor, second: torch.Tensor, rows: slice) -> None:
        self._first, self._second, self._rows = first, second, rows
        self._placed = first, second

    def of(self, base: Any, x: torch.Tensor) -> torch.Tensor:
        """What the change makes of `x`, the input of the layer `base`."""
        first, second = self._at(x)
        if not isinstance(base, nn.Conv2d):
            parts = x.reshape(*x.shape[:-1], first.shape[1], -1) @ second.flatten(1).T
            return torch.matmul(first, parts).flatten(-2)[..., self._rows]
        kernels = second if second.ndim == 4 else second[..., None, None]
        parts = x.reshape(len(x) * first.shape[1], -1, *x.shape[2:])
        parts = nn.functional.conv2d(parts, kernels, None, base.stride, base.padding, base.dilation)
        parts = parts.view(len(x), first.shape[1], *parts.shape[1:])
        return torch.einsum("oi,bichw->bochw", first, parts).flatten(1, 2)[:, self._rows]

    def whole(self) -> torch.Tensor:
        """The change itself: (rows, columns), a kernel's columns all counted."""
        return torch.kron(self._first, self._second.flatten(1))[self._rows]

    def _at(self, x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """The factors where `x` is, and in its type."""
        if self._placed[0].device != x.device or self._placed[0].dtype != x.dtype:
            self._placed = self._first.to(x), self._second.to(x)
        return self._placed


class Multiplied(LoraVariant):
    """A LoKr that is computed factor by factor."""

    def __init__(self, product: Kronecker) -> None:
        self.product = product

    def forward(  # type: ignore[override]
        self, module: Any, *, active_adapter: str, x: torch.Tensor, result: torch.Tensor, **_: Any
    ) -> torch.Tensor:
        """`result` with what it changes added, for the input `x` of the layer `module`."""
        added: torch.Tensor = module.scaling[active_adapter] * self.product.of(module.get_base_layer(), x)
        return result + added


class Stretching(LoraVariant):
    """A DoRA. `magnitude`: (outputs, 1), or (1, inputs).

    `peers` are the layers that were one when it was made: a column's length is that of all of them together. `product`
    is the change where it is no product of two matrices.
    """

    def __init__(self, magnitude: torch.Tensor, peers: Sequence[Any], product: Kronecker | None = None) -> None:
        self._magnitude = magnitude
        self._peers = peers
        self.product = product
        self._gain: torch.Tensor | None = None

    def forward(  # type: ignore[override]
        self, module: Any, *, active_adapter: str, x: torch.Tensor, result: torch.Tensor, **_: Any
    ) -> torch.Tensor:
        """`result` with what the LoRA called `active_adapter` changes of the layer `module` added, for the input `x`.

        x: (..., inputs), or (batch, inputs, height, width) for a convolution; what comes out has the outputs there.
        """
        base, down, up = module.get_base_layer(), module.lora_A[active_adapter], module.lora_B[active_adapter]
        channels = (1, -1, 1, 1) if isinstance(base, nn.Conv2d) else (-1,)
        if self._gain is None or self._gain.device != x.device:
            self._gain = self._gain_of(module, active_adapter).to(x.device)
        gain = self._gain.view(channels).to(x.dtype)
        bias = 0 if base.bias is None else base.bias.view(channels)

        def changed(given: torch.Tensor) -> torch.Tensor:
            return up(down(given)) if self.product is None else self.product.of(base, given)

        if self._magnitude.shape[0] > 1:
            change = (gain - 1) * (base(x) - bias) + gain * changed(x)
        else:
            change = base((gain - 1) * x) - bias + changed(gain * x)
        added: torch.Tensor = module.scaling[active_adapter] * change
        return result + added

    def _gain_of(self, module: Any, name: str) -> torch.Tensor:
        """By how much each row or column grows."""
        if self._magnitude.shape[0] > 1:
            lengths: torch.Tensor = _changed_weight(module, name).flatten(1).norm(dim=1)
        else:
            wholes = [_changed_weight(peer, name).transpose(0, 1).flatten(1).norm(dim=1) for peer in self._peers]
            lengths = torch.stack([whole.to(wholes[0].device) for whole in wholes]).norm(dim=0)
        return self._magnitude.flatten().to(lengths.device) / lengths.clamp(min=torch.finfo(torch.float32).tiny)


def _changed_weight(module: Any, name: str) -> torch.Tensor:
    """The weight of the layer `module` as the LoRA called `name` would have it before it is stretched."""
    weight = module.get_base_layer().weight
    if isinstance(weight, GGUFParameter):
        weight = dequantize_gguf_tensor(weight)
    whole: torch.Tensor = weight.detach().as_subclass(torch.Tensor).float()
    product = getattr(module.lora_variant.get(name), "product", None)
    if product is not None:
        change: torch.Tensor = product.whole().to(whole.device)
    else:
        down, up = (one[name].weight.detach().float().flatten(1) for one in (module.lora_A, module.lora_B))
        change = up @ down
    changed: torch.Tensor = whole + change.view(whole.shape)
    return changed
