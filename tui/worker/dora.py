"""DoRA: a LoRA after which each row, or each column, of the changed weight gets a length of its own.

Source: https://arxiv.org/abs/2402.09353; lengths of columns are what LyCORIS writes unless it is told `wd_on_output`.
At a weight of 1 the layer's weight is what the file says. At another, as in ComfyUI and A1111, it lies between that and
the model's own; peft's DoRA, which we do not use, would change the model even at 0.
"""

from typing import Any

import torch
from diffusers.quantizers.gguf.utils import GGUFParameter, dequantize_gguf_tensor
from peft.tuners.lora.layer import LoraVariant
from torch import nn


class Stretching(LoraVariant):
    """What peft calls for one LoRA of one layer. `magnitude`: (outputs, 1), or (1, inputs)."""

    def __init__(self, magnitude: torch.Tensor) -> None:
        self._magnitude = magnitude
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
            self._gain = self._gain_of(base, down.weight, up.weight).to(x.device)
        gain = self._gain.view(channels).to(x.dtype)
        bias = 0 if base.bias is None else base.bias.view(channels)
        if self._magnitude.shape[0] > 1:
            change = (gain - 1) * (base(x) - bias) + gain * up(down(x))
        else:
            change = base((gain - 1) * x) - bias + up(down(gain * x))
        added: torch.Tensor = module.scaling[active_adapter] * change
        return result + added

    def _gain_of(self, base: Any, down: torch.Tensor, up: torch.Tensor) -> torch.Tensor:
        """By how much each row or column grows."""
        weight = base.weight
        if isinstance(weight, GGUFParameter):
            weight = dequantize_gguf_tensor(weight)
        whole = weight.detach().float()
        changed = whole + (up.detach().float().flatten(1) @ down.detach().float().flatten(1)).view(whole.shape)
        by_row = self._magnitude.shape[0] > 1
        lengths: torch.Tensor = changed.transpose(0, 0 if by_row else 1).flatten(1).norm(dim=1)
        return self._magnitude.flatten().to(lengths.device) / lengths.clamp(min=torch.finfo(torch.float32).tiny)
