"""A model's components: read from its folder, checked to be whole, brought to the device tensor by tensor."""

import importlib
import itertools
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import diffusers
import torch
from diffusers import ModelMixin, SchedulerMixin
from torch import nn
from transformers import PreTrainedModel, PreTrainedTokenizerBase

from tui.library.families import Family, family_of
from tui.library.models import read_json, read_model
from tui.library.safetensors_header import Header, read_header
from tui.protocol.problem import LatenttyError, Problem
from tui.worker.cancel import CancelToken
from tui.worker.memory import is_out_of_memory

Progress = Callable[[str, int, int], None]
"""Told the component's name, the bytes of the model that are done, and all its bytes, as on the disk."""

TORCH_DTYPES = {"F16": torch.float16, "BF16": torch.bfloat16, "F32": torch.float32}

LEFT_OUT = frozenset({"safety_checker", "feature_extractor", "image_encoder"})
"""Components that no mode of ours uses: they are given to the pipeline as None."""


@dataclass
class ComponentSet:
    """What every pipeline of one model is built from. The weights are never changed once they are here."""

    model: str
    path: str
    family: Family
    parts: dict[str, Any]
    """Modules and tokenizers by their name in the pipeline; None for those that are left out."""
    config: dict[str, Any]
    """The pipeline's scalar settings, such as `force_zeros_for_empty_prompt`."""
    scheduler_config: dict[str, Any]
    """The model's own, never changed; each job's scheduler is made from it anew."""
    device: torch.device
    dtype: torch.dtype
    views: dict[str, Any] = field(default_factory=dict)
    """Pipelines built so far, by class name."""

    @property
    def modules(self) -> dict[str, nn.Module]:
        """The parts that hold weights."""
        return {name: part for name, part in self.parts.items() if isinstance(part, nn.Module)}

    @property
    def bytes(self) -> dict[str, int]:
        """Of each module's tensors."""
        return {name: sum(tensor.nbytes for tensor in _tensors(module)) for name, module in self.modules.items()}


def load_components(
    model: str, path: Path, device: torch.device, token: CancelToken, progress: Progress
) -> ComponentSet:
    """Load the diffusers model in `path`.

    Files are mapped, then each tensor goes to `device` in the type that runs well there; `token` is looked at
    between two tensors. Nothing is fetched from anywhere, no pickle is opened, no code of the model's runs.

    Raises:
        LatenttyError: it is missing, damaged or incomplete; Cancelled when `token` says so.
    """
    read_model(path)  # the files themselves, checked within milliseconds
    index = read_json(path, "model_index.json")
    family = family_of(index["_class_name"])
    assert family is not None, "read_model has checked it"
    dtype = torch.float32 if device.type == "cpu" else torch.float16
    wanted = {name: entry for name, entry in _listed(index) if entry[0] is not None and name not in LEFT_OUT}
    parts: dict[str, Any] = dict.fromkeys(name for name, _ in _listed(index))
    del parts["scheduler"], wanted["scheduler"]
    total = sum(header.bytes for name in wanted for header in _headers(path / name))
    done = 0
    for name, (library, class_name) in wanted.items():
        token.check()
        progress(name, done, total)
        parts[name] = _load_part(path, name, _class_of(path, library, class_name))
        if isinstance(parts[name], nn.Module):
            for size in _place(parts[name], device, dtype, token):
                done += size
                progress(name, done, total)
    _check_tokenizers(path, parts)
    return ComponentSet(
        model=model,
        path=str(path),
        family=family,
        parts=parts,
        config={name: value for name, value in index.items() if not name.startswith("_") and not _is_entry(value)},
        scheduler_config=read_json(path, "scheduler/scheduler_config.json"),
        device=device,
        dtype=dtype,
    )


def _is_entry(value: object) -> bool:
    return isinstance(value, list) and len(value) == 2


def _headers(place: Path) -> list[Header]:
    return [read_header(file) for file in sorted(place.glob("*.safetensors"))]


def _listed(index: dict[str, Any]) -> Iterator[tuple[str, tuple[Any, Any]]]:
    for name, value in index.items():
        if _is_entry(value):
            yield name, (value[0], value[1])


def _class_of(path: Path, library: str, name: str | None) -> Any:
    """A component's class. Only diffusers and transformers are looked into: a model's index must not import at will."""
    if hasattr(diffusers.pipelines, library):
        module = getattr(diffusers.pipelines, library)
    elif library in ("diffusers", "transformers"):
        module = importlib.import_module(library)
    else:
        raise _incomplete(path, f"it wants code from {library!r}, which is not diffusers or transformers")
    found = getattr(module, name or "", None)
    if found is None:
        raise _incomplete(path, f"{library} has no {name}")
    return found


def _load_part(path: Path, name: str, kind: Any) -> Any:
    place = path / name
    if issubclass(kind, SchedulerMixin):
        raise _incomplete(path, f"its part {name} is a second scheduler")
    try:
        if not issubclass(kind, ModelMixin | PreTrainedModel):
            return kind.from_pretrained(place, local_files_only=True)
        part, info = kind.from_pretrained(
            place,
            dtype=_file_dtype(place),
            use_safetensors=True,
            local_files_only=True,
            output_loading_info=True,
        )
    except Exception as error:  # the libraries raise whatever their parsers do
        if is_out_of_memory(error):
            raise
        raise _incomplete(path, f"{name}: {str(error).strip().splitlines()[0]}") from None
    if missing := sorted(info.get("missing_keys", ())):
        raise _incomplete(path, f"{name} lacks {len(missing)} weights, such as {missing[0]}")
    if info.get("mismatched_keys"):
        raise _incomplete(path, f"{name} has weights of another shape than its config.json says")
    empty = next((key for key, tensor in part.state_dict().items() if tensor.is_meta), None)
    if empty is not None:
        raise _incomplete(path, f"{name} lacks the weight {empty}")
    part.requires_grad_(False)
    return part.eval()


def _file_dtype(place: Path) -> torch.dtype:
    """The type that the weights have on the disk: loading in it maps the file instead of copying it."""
    headers = _headers(place)
    return TORCH_DTYPES.get(headers[0].dtype, torch.float32) if headers else torch.float32


def _place(module: nn.Module, device: torch.device, dtype: torch.dtype, token: CancelToken) -> Iterator[int]:
    """Bring every tensor of `module` to `device`, yielding the bytes that each had on the disk (0 if made up).

    Weights that the library kept in fp32 although the file is smaller are meant to stay fp32.
    """
    kept = {torch.float32} if any(tensor.dtype != torch.float32 for tensor in module.parameters()) else set()
    stored = set(module.state_dict())
    for name, tensor in itertools.chain(module.named_parameters(), module.named_buffers()):
        token.check()
        wanted = dtype if tensor.is_floating_point() and tensor.dtype not in kept else tensor.dtype
        size = tensor.nbytes if name in stored else 0
        tensor.data = tensor.data.to(device=device, dtype=wanted)
        yield size


def _tensors(module: nn.Module) -> Iterator[torch.Tensor]:
    return itertools.chain(module.parameters(), module.buffers())


def _check_tokenizers(path: Path, parts: dict[str, Any]) -> None:
    """A tokenizer whose files are gone loads as one with two words, and every prompt then means nothing."""
    for name, part in parts.items():
        encoder = parts.get(name.replace("tokenizer", "text_encoder"))
        if isinstance(part, PreTrainedTokenizerBase) and isinstance(encoder, PreTrainedModel):
            words, rows = len(part), encoder.get_input_embeddings().weight.shape[0]
            if words > rows or words < rows // 2:
                raise _incomplete(path, f"{name} knows {words} words and its encoder {rows}")


def _incomplete(path: Path, why: str) -> LatenttyError:
    return LatenttyError(
        Problem(
            code="model_damaged",
            cause=f"The model {path} cannot be used: {why}.",
            hint="Copy or download the model again.",
        )
    )
