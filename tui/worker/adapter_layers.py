"""A LoRA's file as changes of a pipeline's own layers, in whichever names and form its trainer wrote it."""

import math
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import torch
from diffusers.models.normalization import AdaLayerNormContinuous
from torch import nn

from tui.library.layer_names import target_of
from tui.worker.lycoris import MAX_RANK, Factors, checked_factors, is_kronecker, kronecker_factors, kronecker_rank
from tui.worker.variants import Kronecker


@dataclass(frozen=True)
class Layer:
    """A layer of a pipeline that a LoRA can change."""

    name: str
    """With that of its part, such as "unet.mid_block.attentions.0.proj_in"."""
    module: nn.Linear | nn.Conv2d
    swapped: bool
    """Whether diffusers holds the two halves of its rows in another order than a model's authors."""

    @property
    def rows(self) -> int:
        """Of its weight."""
        return self.module.out_features if isinstance(self.module, nn.Linear) else self.module.out_channels

    @property
    def columns(self) -> int:
        """Of its weight, a kernel's all counted."""
        if isinstance(self.module, nn.Linear):
            return self.module.in_features
        return self.module.in_channels // self.module.groups * math.prod(self.module.kernel_size)

    def shaped(self, factors: Factors) -> Factors:
        """`factors` as this layer's kind has them."""
        up, down = (one.contiguous() for one in factors)
        if isinstance(self.module, nn.Linear):
            return up, down
        return up[..., None, None], down.reshape(len(down), -1, *self.module.kernel_size)


Layers = Mapping[tuple[str, str], Layer]
"""By their part and their name below it with `_` for every dot."""

_FORMS: Final = {
    "lora_A": "lora_down",
    "lora_B": "lora_up",
    "lora_A.default": "lora_down",
    "lora_B.default": "lora_up",
    "lora.down": "lora_down",
    "lora.up": "lora_up",
    "lora_magnitude_vector": "dora_scale",
    "lora_magnitude_vector.default": "dora_scale",
}
"""What others call the parts that kohya's files call so."""


@dataclass(frozen=True)
class Change:
    """What a file changes of one layer."""

    layer: str
    """Its name behind that of its part, such as "unet.mid_block.attentions.0.proj_in"."""
    factors: Factors
    magnitude: torch.Tensor | None = None
    """A DoRA's: how long the rows (outputs, 1) or the columns (1, inputs) of the changed weight are."""
    peers: tuple[str, ...] = ()
    """The layers, this one among them, that are one in the file."""
    product: Kronecker | None = None
    """A LoKr's change where no two matrices of reasonable size make it; the factors are then naught."""


def parts_by_layer(tensors: Mapping[str, torch.Tensor]) -> dict[str, dict[str, torch.Tensor]]:
    """The tensors of a file by layer, and below it by what they are in kohya's words."""
    layers: dict[str, dict[str, torch.Tensor]] = {}
    for name, tensor in tensors.items():
        bare = name.removesuffix(".weight")
        form = next((one for one in _FORMS if bare.endswith(f".{one}")), "")
        layer, part = (bare.removesuffix(f".{form}"), _FORMS[form]) if form else bare.rpartition(".")[::2]
        layers.setdefault(layer, {})[part] = tensor
    return layers


def layers_of(pipeline: Any) -> Layers:
    """The layers of `pipeline` that a LoRA can change."""
    found: dict[tuple[str, str], Layer] = {}
    for part in pipeline._lora_loadable_modules:
        whole = getattr(pipeline, part, None)
        label = part if part.startswith("text_encoder") else "denoiser"
        swapped: set[str] = set()
        for name, module in whole.named_modules() if whole is not None else ():
            if isinstance(module, AdaLayerNormContinuous):
                swapped.add(f"{name}.linear")
            own = getattr(module, "base_layer", module)
            if isinstance(own, nn.Linear | nn.Conv2d) and not name.endswith(_OF_PEFT) and ".lora_" not in name:
                flat = name.replace(".", "_").removeprefix("text_model_")
                found[label, flat] = Layer(f"{part}.{name}", own, name in swapped)
    return found


_OF_PEFT: Final = ".base_layer"


def changes(path: Path, tensors: Mapping[str, torch.Tensor], layers: Layers) -> list[Change] | None:
    """What the file at `path` changes; None when it names a layer that `layers` do not have.

    Raises:
        LatenttyError: a layer of it has no form as a LoRA.
    """
    by_layer = parts_by_layer(tensors)
    targets = {layer: target_of(layer) for layer in by_layer}
    if any((one.part, name) not in layers for one in targets.values() for name in one.layers):
        return None
    found: list[Change] = []
    for layer, parts in by_layer.items():
        own = [layers[targets[layer].part, name] for name in targets[layer].layers]
        one = list(_changes(path, layer, parts, own))
        if not one:
            return None
        found += one
    return found


def _changes(path: Path, layer: str, parts: Mapping[str, torch.Tensor], own: Sequence[Layer]) -> Iterator[Change]:
    """The changes of the layers `own` that the one called `layer` in a file stands for; none when they do not fit."""
    magnitude = _magnitude(parts["dora_scale"].float()) if "dora_scale" in parts else None
    plain = {name: one for name, one in parts.items() if name != "dora_scale"}
    product = kronecker_factors(plain) if is_kronecker(plain) else None
    if product is not None and _size(product) != (sum(one.rows for one in own), own[0].columns):
        return
    if product is not None and kronecker_rank(plain, product) > MAX_RANK:
        up, down = torch.zeros(_size(product)[0], 1), torch.zeros(1, _size(product)[1])
    else:
        (up, down), product = checked_factors(path, layer, plain), None
    if up.shape[0] != sum(one.rows for one in own) or any(one.columns != down.shape[1] for one in own):
        return
    by_row = magnitude is not None and magnitude.shape[0] > 1
    if product is not None and any(one.swapped for one in own) and _OF_AUTHORS.search(layer):
        return
    peers, begin = tuple(one.name for one in own), 0
    for one in own:
        rows = slice(begin, begin := begin + one.rows)
        mine = up[rows].roll(one.rows // 2, 0) if one.swapped and _OF_AUTHORS.search(layer) else up[rows]
        lengths = magnitude[rows] if magnitude is not None and by_row else magnitude
        part = Kronecker(*product, rows) if product is not None else None
        yield Change(one.name, one.shaped((mine, down)), lengths, peers, part)


def _size(product: Factors) -> tuple[int, int]:
    """Rows and columns of a Kronecker product."""
    first, second = product[0].shape, product[1].flatten(1).shape
    return first[0] * second[0], first[1] * second[1]


_OF_AUTHORS: Final = re.compile(r"adaLN_modulation")


def _magnitude(given: torch.Tensor) -> torch.Tensor:
    """As (outputs, 1) or (1, inputs)."""
    return given.reshape(1, -1) if given.ndim > 1 and given.shape[0] == 1 else given.reshape(-1, 1)
