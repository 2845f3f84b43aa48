"""What a model or a ControlNet consists of, read from its folder within milliseconds."""

import hashlib
import importlib
from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any, Final

import diffusers

from tui.library.families import Family, family_of
from tui.library.models import read_json, read_model
from tui.library.safetensors_header import Header, read_header
from tui.library.weight_files import weight_files, weight_set
from tui.protocol.problem import LatenttyError, Problem

LEFT_OUT: Final = frozenset({"safety_checker", "feature_extractor", "image_encoder", "watermark"})
"""Parts that no mode of ours uses: pipelines get None for them."""


@dataclass(frozen=True)
class Part:
    """One part of a model, as its files are now."""

    name: str
    folder: Path
    kind: Any
    """Its class."""

    @cached_property
    def files(self) -> list[Path]:
        """Its weight files."""
        return weight_files(self.folder)

    @property
    def variant(self) -> str | None:
        """What their names say, such as "fp16", which the libraries' loaders must be told."""
        return weight_set(self.files[0].name)[1] or None if self.files else None

    @cached_property
    def headers(self) -> list[Header]:
        """Of its weight files, in their order, checked."""
        return [read_header(file) for file in self.files]

    @property
    def stored_bytes(self) -> int:
        """Of its weights."""
        return sum(header.bytes for header in self.headers)

    @cached_property
    def key(self) -> str:
        """Changes when its class, its configuration or one of its files does."""
        digest = hashlib.sha256(self.kind.__qualname__.encode())
        digest.update(self.configuration)
        for file in self.files:
            found = file.stat()
            digest.update(f"{file.resolve()}|{found.st_size}|{found.st_mtime_ns}|{found.st_ino}".encode())
        return digest.hexdigest()

    @property
    def changed(self) -> bool:
        """Whether its files are no longer those that it was read from."""
        return replace(self).key != self.key

    @cached_property
    def configuration(self) -> bytes:
        """Its config.json."""
        path = self.folder / "config.json"
        return path.read_bytes() if path.exists() else b""

    @property
    def needs_gpu(self) -> bool:
        """Whether its weights were saved in a form that only GPUs compute with."""
        told = read_json(self.folder, "config.json").get("quantization_config") if self.configuration else None
        return isinstance(told, dict) and told.get("quant_method") == "bitsandbytes"

    @property
    def shape(self) -> tuple[object, ...]:
        """Two parts can only be equal when this is."""
        names = [sorted((name, one.dtype, tuple(one.shape)) for name, one in h.tensors.items()) for h in self.headers]
        return self.kind, self.configuration, str(names)


@dataclass(frozen=True)
class Blueprint:
    """A model's parts, its pipeline's scalar settings, and the scheduler that it was made with."""

    path: Path
    family: Family
    saved_as: str
    """The pipeline class that its folder names."""
    parts: dict[str, Part | None]
    """By their name in the pipeline, in its order, without the scheduler; None for what is left out."""
    config: dict[str, Any]
    """Such as `force_zeros_for_empty_prompt`."""
    scheduler_config: dict[str, Any]


def read_blueprint(path: Path) -> Blueprint:
    """The blueprint of the diffusers model in `path`.

    Raises:
        LatenttyError: it is missing, damaged, or wants classes that are not diffusers' or transformers'.
    """
    read_model(path)  # every file's header, checked
    index = read_json(path, "model_index.json")
    family = family_of(index)
    assert family is not None, "read_model has checked it"
    parts = {
        name: entry and Part(name, path / name, class_named(path, *entry))
        for name, entry in components_of(index).items()
    }
    return Blueprint(
        path=path,
        family=family,
        saved_as=index["_class_name"],
        parts=parts,
        config={name: value for name, value in index.items() if not name.startswith("_") and not _is_entry(value)},
        scheduler_config=read_json(path, "scheduler/scheduler_config.json"),
    )


def components_of(index: dict[str, Any]) -> dict[str, tuple[str, str] | None]:
    """Library and class of each part that a `model_index.json` lists, without the scheduler; None for what is left out.

    Their order is that of the pipeline.
    """
    entries = {name: entry for name, entry in _listed(index) if name != "scheduler"}
    return {name: None if name in LEFT_OUT or entry[0] is None else entry for name, entry in entries.items()}


def read_controlnet_part(path: Path) -> Part:
    """The ControlNet in the folder `path` as a part.

    Raises:
        LatenttyError: it is missing, damaged, or of no class that we know.
    """
    config = read_json(path, "config.json")
    part = Part("controlnet", path, class_named(path, "diffusers", str(config.get("_class_name", ""))))
    if not part.headers:
        raise incomplete(path, "its weights are missing")
    return part


def class_named(path: Path, library: str, name: str) -> Any:
    """The class `name` of `library`: only diffusers and transformers, for a model must not import at will.

    Raises:
        LatenttyError: it is elsewhere, or nowhere.
    """
    if hasattr(diffusers.pipelines, library):
        module = getattr(diffusers.pipelines, library)
    elif library in ("diffusers", "transformers"):
        module = importlib.import_module(library)
    else:
        raise incomplete(path, f"it wants code from {library!r}, which is not diffusers or transformers")
    found = getattr(module, name, None)
    if found is None:
        raise incomplete(path, f"{library} has no {name}")
    return found


def incomplete(path: Path, why: str) -> LatenttyError:
    """The error for a model that cannot be used."""
    return LatenttyError(
        Problem(
            code="model_damaged",
            cause=f"The model {path} cannot be used: {why}.",
            hint="Copy or download the model again.",
        )
    )


def _is_entry(value: object) -> bool:
    return isinstance(value, list) and len(value) == 2 and all(one is None or isinstance(one, str) for one in value)


def _listed(index: dict[str, Any]) -> Iterator[tuple[str, tuple[Any, Any]]]:
    for name, value in index.items():
        if _is_entry(value):
            yield name, (value[0], value[1])
