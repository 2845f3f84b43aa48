"""LoRA adapters: loaded once beside a model's weights, chosen anew by each job, and never merged into the weights."""

import hashlib
import secrets
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

import torch
from safetensors.torch import load_file

from tui.library.adapter_header import AdapterHeader, read_adapter, unusable
from tui.library.preparation import adapter_path
from tui.protocol.job import Adapter
from tui.protocol.problem import LatenttyError
from tui.worker.adapter_layers import Change, changes, layers_of
from tui.worker.lycoris import as_lora, shaped
from tui.worker.memory import is_out_of_memory
from tui.worker.variants import Multiplied, Stretching

MAX_LOADED: Final = 8
"""Adapters that stay loaded beside one model; of more, the one used longest ago leaves, unless the job needs it."""

TEXT: Final = "text_encoder"
"""What the names of text encoders begin with."""


class AdapterSet:
    """The adapters that are loaded beside one model, the one used last at the end."""

    def __init__(self) -> None:
        self._loaded: list[str] = []
        # models may share a text encoder, and then what one loads must not be called like what the other does
        self._mark = secrets.token_hex(4)

    @contextmanager
    def chosen(self, pipeline: Any, adapters: Sequence[Adapter]) -> Iterator[None]:
        """While inside, `pipeline` draws with `adapters` at their weights, and with no other.

        Outside, every pipeline of the model draws as if no adapter had ever been loaded, bit for bit.

        Raises:
            LatenttyError: one of them is missing, damaged, or does not fit the model.
        """
        if not adapters:
            yield
            return
        try:
            names: list[str] = []
            for adapter in adapters:
                names.append(self.load(pipeline, adapter.path, keep=names))
            pipeline.enable_lora()
            self._set(pipeline, names, adapters)
            yield
        finally:
            if self._loaded:
                pipeline.disable_lora()

    def _set(self, pipeline: Any, names: Sequence[str], adapters: Sequence[Adapter]) -> None:
        """One weight for the denoiser and one for the text encoders; a LoRA that comes twice counts twice."""
        weights: dict[str, list[float]] = {}
        for name, adapter in zip(names, adapters, strict=True):
            before = weights.setdefault(name, [0.0, 0.0])
            weights[name] = [before[0] + adapter.weight, before[1] + adapter.on_text]
        parts = pipeline.get_list_adapters()
        pipeline.set_adapters(
            list(weights),
            [
                {part: values[part.startswith(TEXT)] for part, held in parts.items() if name in held}
                for name, values in weights.items()
            ],
        )

    def load(self, pipeline: Any, adapter: str, keep: Sequence[str] = ()) -> str:
        """Load the LoRA at the path `adapter` beside the weights, unless it is there; its name among them.

        Those named in `keep` do not leave for it.

        Raises:
            LatenttyError: it is missing, damaged, or does not fit the model.
        """
        path, header = adapter_file(Path(adapter))
        found = path.stat()
        stamp = f"{path.resolve()}|{found.st_size}|{found.st_mtime_ns}|{self._mark}"
        name = hashlib.sha256(stamp.encode()).hexdigest()[:16]
        if name in self._loaded:
            self._loaded.remove(name)
        else:
            self._make_room(pipeline, keep)
            try:
                _load(pipeline, path, header, name)
            except LatenttyError:
                raise
            except Exception as error:  # peft and diffusers raise whatever their parsers do
                if is_out_of_memory(error):
                    raise
                raise unusable(path, str(error).strip().splitlines()[0].rstrip(".")) from None
            if not any(name in held for held in pipeline.get_list_adapters().values()):
                raise unusable(path, "this model has none of the layers that it changes")
        self._loaded.append(name)
        return name

    def _make_room(self, pipeline: Any, keep: Sequence[str]) -> None:
        leaving = [name for name in self._loaded if name not in keep]
        for name in leaving[: max(len(self._loaded) - MAX_LOADED + 1, 0)]:
            self._loaded.remove(name)
            pipeline.delete_adapters(name)


def _load(pipeline: Any, path: Path, header: AdapterHeader, name: str) -> None:
    """By our own names of the layers, and what these do not tell by diffusers'."""
    tensors = load_file(path)
    found = None
    if not header.scaled_elsewhere:
        found = changes(path, tensors, layers_of(pipeline))
    if found:
        _load_changes(pipeline, found, name)
    elif header.dora:
        raise unusable(path, "it is a DoRA, and this model does not have the layers that it changes")
    elif header.kind == "lora" or (header.kind == "lokr" and header.denoiser == "transformer"):
        pipeline.load_lora_weights(
            path.parent, weight_name=path.name, adapter_name=name, local_files_only=True, use_safetensors=True
        )
    else:
        _load_lycoris(pipeline, path, tensors, name)


def _load_changes(pipeline: Any, found: Sequence[Change], name: str) -> None:
    factors = {
        f"{one.layer}.lora_{side}.weight": factor
        for one in found
        for side, factor in zip("BA", one.factors, strict=True)
    }
    pipeline.load_lora_weights(factors, adapter_name=name)
    for one in found:
        if one.magnitude is not None:
            peers = [_layer(pipeline, peer) for peer in one.peers]
            _layer(pipeline, one.layer).lora_variant[name] = Stretching(one.magnitude, peers, one.product)
        elif one.product is not None:
            _layer(pipeline, one.layer).lora_variant[name] = Multiplied(one.product)


def _layer(pipeline: Any, name: str) -> Any:
    """The layer called so behind the name of its part, as peft has wrapped it."""
    part, _, below = name.partition(".")
    return getattr(pipeline, part).get_submodule(below)


def _load_lycoris(pipeline: Any, path: Path, tensors: Mapping[str, torch.Tensor], name: str) -> None:
    factors = as_lora(path, tensors)
    config = {"unet_config": pipeline.unet.config} if hasattr(pipeline, "unet") else {}
    renamed = pipeline.lora_state_dict(factors, **config)
    renamed = renamed[0] if isinstance(renamed, tuple) else renamed
    modules = {
        f"{part}.{label}": module
        for part in pipeline._lora_loadable_modules
        if getattr(pipeline, part, None) is not None
        for label, module in getattr(pipeline, part).named_modules()
    }
    pipeline.load_lora_weights(shaped(renamed, modules), adapter_name=name)


def adapter_file(given: Path) -> tuple[Path, AdapterHeader]:
    """The file that an adapter's path means: itself, or the one file in its folder; and its header, checked.

    Raises:
        LatenttyError: it is missing, damaged, a pickle, or no LoRA.
    """
    path = adapter_path(str(given))
    header = read_adapter(path)
    if header.reason or header.kind not in ("lora", "loha", "lokr"):
        raise unusable(path, header.reason or "it is a textual inversion: name it in the prompt")
    return path, header
