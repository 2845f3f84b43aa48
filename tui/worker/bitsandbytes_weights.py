"""Weights that bitsandbytes packed into 4 or 8 bits: parameters that carry their scales with them, also to a GPU.

The library reads such modules straight to a GPU, moves scales in place, and lets a layer of 8 bits keep what it
computed with. None of that may happen to weights that come and go: what is on the host stays there unchanged, and
what is on the GPU goes when it is told to.
"""

import copy
from typing import Any

import torch
from torch import nn


def is_packed(tensor: torch.Tensor) -> bool:
    """Whether `tensor` is a weight of 4 bits, with its `quant_state`, or of 8, with its scales `SCB`."""
    return hasattr(tensor, "quant_state") or hasattr(tensor, "SCB")


def scales_of(tensor: Any) -> list[torch.Tensor]:
    """What a packed weight carries along."""
    if (state := getattr(tensor, "quant_state", None)) is None:
        return [] if getattr(tensor, "SCB", None) is None else [tensor.SCB]
    nested = [] if state.state2 is None else [state.state2.absmax]
    return [state.absmax, *nested]


def sent_to(device: torch.device, weight: Any) -> torch.Tensor:
    """A weight, packed or not, with its scales on `device`; `weight` itself and its scales stay where they are."""
    if getattr(weight, "quant_state", None) is not None:
        weight, state = copy.copy(weight), copy.deepcopy(weight.quant_state)
        weight.quant_state = state  # the library moves that of the weight it is asked to copy
    sent: torch.Tensor = weight.to(device=device)
    return sent


def as_parameter(weight: torch.Tensor) -> nn.Parameter:
    """`weight` as a layer has it; those of bitsandbytes are parameters already."""
    return weight if isinstance(weight, nn.Parameter) else nn.Parameter(weight, requires_grad=False)


def let_go(layer: Any) -> None:
    """Have `layer` forget what it keeps of its packed weight beside its parameter, since it computed last."""
    if (state := getattr(layer, "state", None)) is not None:  # of a layer of 8 bits
        state.CB = state.SCB = None


def bring_to_host(module: nn.Module) -> None:
    """Move all that the library read to a GPU to the host, in place."""
    host = torch.device("cpu")
    for layer in module.modules():
        for label, weight in list(layer._parameters.items()):
            if weight is not None and weight.device != host:
                layer._parameters[label] = as_parameter(sent_to(host, weight))
        for label, buffer in list(layer._buffers.items()):
            if buffer is not None:
                layer._buffers[label] = buffer.cpu()
        let_go(layer)
