"""Modules that are built without the libraries' loaders are those that the loaders would have made."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file
from torch import nn

from tests.worker.conftest import BUNDLED_PATH
from tests.worker.tiny_models import MODELS, TinyModels
from tui.worker.blueprint import Blueprint, Part, read_blueprint
from tui.worker.part_loading import holds_weights
from tui.worker.skeleton import built

USUAL = {"sd", "sdxl", "flux"}
"""Those whose denoiser must not need the loader, or big models load slowly again."""


@dataclass
class Loaded:
    module: nn.Module
    state: dict[str, torch.Tensor]
    buffers: dict[str, torch.Tensor]

    @classmethod
    def of(cls, module: nn.Module) -> "Loaded":
        return cls(module.eval(), module.state_dict(), dict(module.named_buffers()))


def by_the_library(part: Part) -> Loaded:
    dtype = next(one.dtype for one in load_file(part.files[0]).values() if one.is_floating_point())
    return Loaded.of(part.kind.from_pretrained(part.folder, dtype=dtype, local_files_only=True, use_safetensors=True))


def told(module: Any) -> dict[str, Any]:
    """Its configuration, which the two libraries keep in two ways."""
    return dict(module.config.to_dict() if hasattr(module.config, "to_dict") else module.config)


def weighted(blueprint: Blueprint) -> list[Part]:
    return [part for part in blueprint.parts.values() if part is not None and holds_weights(part)]


def assert_same(mine: Loaded, theirs: Loaded) -> None:
    assert type(mine.module) is type(theirs.module)
    assert list(mine.state) == list(theirs.state)
    for ours, wanted in ((mine.state, theirs.state), (mine.buffers, theirs.buffers)):
        assert ours.keys() == wanted.keys()
        assert all(torch.equal(ours[name], wanted[name]) and ours[name].dtype == wanted[name].dtype for name in wanted)
    left_out = {"_name_or_path", "dtype", "torch_dtype"}
    settings, expected = (
        {name: value for name, value in told(module).items() if name not in left_out}
        for module in (mine.module, theirs.module)
    )
    assert settings == expected


@pytest.mark.parametrize("name", sorted(MODELS))
def test_every_part_is_what_the_library_makes_of_it(name: str, tiny_models: TinyModels) -> None:
    parts = {part.name: part for part in weighted(read_blueprint(tiny_models[name]))}
    ours = {label: module for label, part in parts.items() if (module := built(part)) is not None}
    for label, module in ours.items():
        assert_same(Loaded.of(module), by_the_library(parts[label]))
    if name in USUAL:
        assert {"unet", "transformer"} & ours.keys()


def test_weights_stay_mapped(tmp_path: Path) -> None:
    unet = built(next(part for part in weighted(read_blueprint(BUNDLED_PATH)) if part.name == "unet"))
    assert unet is not None
    places = [line.split() for line in Path("/proc/self/maps").read_text().splitlines() if "unet" in line]
    areas = [tuple(int(end, 16) for end in row[0].split("-")) for row in places]
    assert all(any(low <= one.data_ptr() < high for low, high in areas) for one in unet.parameters())


def encoder(folder: Path) -> Part:
    return next(part for part in weighted(read_blueprint(folder)) if part.name == "text_encoder")


def rewritten(part: Part, folder: Path, tensors: dict[str, torch.Tensor]) -> Part:
    folder.mkdir()
    (folder / "config.json").write_bytes(part.configuration)
    save_file(tensors, folder / part.files[0].name, metadata={"format": "pt"})
    return Part(part.name, folder, part.kind)


def test_an_old_clip_file_with_its_prefix_and_its_positions_is_understood(tmp_path: Path) -> None:
    part = encoder(BUNDLED_PATH)
    tensors = {f"text_model.{name}": tensor for name, tensor in load_file(part.files[0]).items()}
    tensors["text_model.embeddings.position_ids"] = torch.arange(77)[None]
    old = rewritten(part, tmp_path / "old", tensors)
    module = built(old)
    assert module is not None
    assert_same(Loaded.of(module), by_the_library(old))


@pytest.mark.parametrize("fault", ["one is missing", "one too many", "another shape", "another precision"])
def test_what_does_not_fit_exactly_is_left_to_the_library(fault: str, tmp_path: Path) -> None:
    part = encoder(BUNDLED_PATH)
    tensors = load_file(part.files[0])
    name = next(name for name in tensors if name.endswith("fc1.bias"))
    if fault == "one is missing":
        del tensors[name]
    elif fault == "one too many":
        tensors["more"] = tensors[name].clone()
    elif fault == "another shape":
        tensors[name] = tensors[name][:-1].clone()
    else:
        tensors[name] = tensors[name].float()
    assert built(rewritten(part, tmp_path / "odd", tensors)) is None
