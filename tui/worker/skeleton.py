"""A module around its mapped weights, built without the libraries' loaders: the same, in half their time.

The loaders rename, tie, cast and convert weights and make up what a file lacks. Where a header shows that none of
that is needed, and only there, the module is built from its configuration and the mapped tensors are put in: modules
of the classes that large models consist of.
"""

import gc
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Any, Final

import torch
from diffusers import ModelMixin
from diffusers.models.modeling_utils import no_init_weights
from safetensors import safe_open
from torch import nn
from transformers import PreTrainedModel

from tui.library.weight_files import STEMS, weight_set
from tui.worker.blueprint import Part

KNOWN: Final = (
    "CLIPTextModel",
    "CLIPTextModelWithProjection",
    "ControlNetModel",
    "FluxTransformer2DModel",
    "UNet2DConditionModel",
)
"""Classes that keep nothing that is computed when they are made, in whatever attribute: the usual large ones.

Not the VAE, which takes a moment: read in this way, a tiny one's results differed in their last bit.
"""

OLD_PREFIX: Final = "text_model."
"""Of CLIP's weights in files made before transformers 5, where its module has none."""

POSITIONS: Final = "position_ids"
"""A buffer of CLIP's that counts from 0, which old files hold and new ones leave out."""


def built(part: Part) -> nn.Module | None:
    """The module of `part`, its weights mapped; None where only the library's loader does it right."""
    names = _names_in_file(part)
    if names is None:
        return None
    with torch.device("meta"), no_init_weights():
        module = _unfilled(part)
    own = module.state_dict()
    wanted = {label for label in own if not label.endswith(POSITIONS)}
    places = {_place_of(name, wanted): name for name in names if not name.endswith(POSITIONS)}
    tensors = part.headers[0].tensors
    if set(places) != wanted or any(list(own[to].shape) != tensors[name].shape for to, name in places.items()):
        return None
    with safe_open(part.files[0], framework="pt") as file:
        _fill(module, {label: file.get_tensor(name) for label, name in places.items()})
    made_up = any(buffer.is_meta for buffer in module.buffers())  # computed when it is made, in ways of its own
    return None if made_up else module


@contextmanager
def uncollected() -> Iterator[None]:
    """While inside, Python does not look for garbage: a module is thousands of objects, and none of them is any."""
    was_on = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_on:
            gc.enable()


def _names_in_file(part: Part) -> Iterable[str] | None:
    """What the file of `part` calls its tensors; None when there are several files, or types, or other rules."""
    kind: Any = part.kind
    kept_precise = getattr(kind, "_keep_in_fp32_modules", None) or getattr(kind, "_keep_in_fp32_modules_strict", None)
    if kind.__name__ not in KNOWN or kept_precise:
        return None
    if len(part.files) != 1 or weight_set(part.files[0].name)[0] not in STEMS:
        return None
    if b"quantization_config" in part.configuration:
        return None
    tensors = part.headers[0].tensors
    types = {one.dtype for name, one in tensors.items() if not name.endswith(POSITIONS)}
    return tensors if types in ({"F16"}, {"BF16"}, {"F32"}) else None


def _unfilled(part: Part) -> nn.Module:
    kind: Any = part.kind
    module: nn.Module
    if issubclass(kind, ModelMixin):
        module = kind.from_config(kind.load_config(part.folder, local_files_only=True))
    else:
        assert issubclass(kind, PreTrainedModel), "all modules are of one of the two libraries"
        configuration: Any = kind.config_class
        module = kind._from_config(configuration.from_pretrained(part.folder, local_files_only=True))
    return module


def _place_of(name: str, wanted: set[str]) -> str:
    """Where in the module the tensor goes that the file calls `name`."""
    return name if name in wanted else name.removeprefix(OLD_PREFIX)


def _fill(module: nn.Module, tensors: dict[str, torch.Tensor]) -> None:
    for place, inner in module.named_modules():
        before = f"{place}." if place else ""
        for name in inner._parameters:
            if (found := tensors.get(before + name)) is not None:
                inner._parameters[name] = nn.Parameter(found, requires_grad=False)
        for name, buffer in inner._buffers.items():
            if name == POSITIONS and buffer is not None:
                inner._buffers[name] = torch.arange(buffer.shape[-1]).expand(buffer.shape)
            elif (found := tensors.get(before + name)) is not None:
                inner._buffers[name] = found
