"""Writing a model in the folder format of diffusers: its index, and one folder for each part."""

import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import diffusers
import torch
from torch import nn

ATTENTION: Final = 2.0
"""How much larger a denoiser's weights are than when they are new."""


@dataclass(frozen=True)
class Part:
    """One part of a model: the class that its index names, and what writes its files into a folder."""

    library: str
    class_name: str
    write: Callable[[Path], object]


def part(of: Any, class_name: str = "") -> Part:
    """`of` as a part; `class_name` when published models name another class than its own."""
    kind = type(of)
    return Part(kind.__module__.partition(".")[0], class_name or kind.__name__, of.save_pretrained)


def seeded(build: Callable[[], nn.Module], seed: int) -> Any:
    """The model that `build` makes, with weights that are always the same for `seed` and never all zero."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        model = build()
        for weight in model.parameters():
            if weight.dim() > 1 and not weight.any():
                nn.init.normal_(weight, std=weight[0].numel() ** -0.5)
    return model.eval().requires_grad_(False)


def denoiser(build: Callable[[], nn.Module], seed: int) -> Any:
    """A `seeded` model that listens to its prompt: with weights as they come, all words draw the same picture."""
    model = seeded(build, seed)
    for layer in model.modules():
        if isinstance(layer, nn.Linear | nn.Conv2d):
            layer.weight *= ATTENTION
    return model


def write_model(folder: Path, pipeline: str, parts: dict[str, Part | None], **config: object) -> Path:
    """Write a model of the class `pipeline` into `folder`; None stands for a part that the model does without."""
    index: dict[str, object] = {"_class_name": pipeline, "_diffusers_version": diffusers.__version__, **config}
    for name, one in parts.items():
        index[name] = [None, None] if one is None else [one.library, one.class_name]
        if one is not None:
            one.write(folder / name)
    (folder / "model_index.json").write_text(json.dumps(index, indent=2))
    return folder
