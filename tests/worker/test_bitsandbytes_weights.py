"""What bitsandbytes packed comes and goes like every other weight, with its scales, and nothing of it stays behind."""

from collections.abc import Iterator
from typing import Any

import pytest
import torch
from bitsandbytes.nn import Linear4bit, Linear8bitLt
from torch import nn

from tui.worker.bitsandbytes_weights import scales_of, sent_to
from tui.worker.cancel import CancelToken
from tui.worker.component import Component, bytes_of

CPU = torch.device("cpu")
SIDE = 128


def packed(kind: str) -> nn.Module:
    """A module of two layers, of which one is packed as the library does it."""
    torch.manual_seed(0)
    layer: nn.Module = (
        Linear4bit(SIDE, SIDE, quant_type="nf4", compute_dtype=torch.float32)
        if kind == "4 bits"
        else Linear8bitLt(SIDE, SIDE, has_fp16_weights=False)
    )
    return nn.Sequential(layer, nn.Linear(SIDE, 4)).to(CPU)


def tensors_of(layer: Any) -> Iterator[torch.Tensor]:
    """All that a layer holds, wherever it keeps it."""
    for held in (layer.__dict__, vars(getattr(layer, "state", layer)), layer._parameters):
        yield from (one for one in held.values() if isinstance(one, torch.Tensor))
    yield from scales_of(layer.weight)


@pytest.mark.parametrize("kind", ["4 bits", "8 bits"])
@torch.inference_mode()
def test_packed_weights_come_and_go(kind: str) -> None:
    module = packed(kind)
    host = module[0].weight
    scales = [one.clone() for one in scales_of(host)]
    places = [one.data_ptr() for one in scales_of(host)]
    component = Component.around("key", "part", module, CPU, torch.float32)
    assert component.bytes >= bytes_of(host) > host.nbytes, "scales count, too"
    given, drawn = torch.randn(3, SIDE), list[torch.Tensor]()
    for _ in range(2):
        component.place(CancelToken(), lambda _: None)
        drawn.append(module(given))
        component.drop()
        assert not [one.shape for one in tensors_of(module[0]) if one.untyped_storage().nbytes() > 8], "all is free"
    assert torch.equal(*drawn)
    assert drawn[0].abs().sum() > 0
    assert [one.data_ptr() for one in scales_of(host)] == places, "the host's own were not moved away"
    assert all(torch.equal(one, other) for one, other in zip(scales_of(host), scales, strict=True))


@pytest.mark.parametrize("kind", ["4 bits", "8 bits"])
def test_what_was_sent_has_scales_of_its_own(kind: str) -> None:
    host = packed(kind)[0].weight
    sent = sent_to(torch.device("meta"), host)
    assert sent.is_meta
    assert not host.is_meta
    assert not any(one.is_meta for one in scales_of(host))
