"""Reading one part of a model from its files: a mapped module, a tokenizer, a processor."""

import filecmp
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import torch
from diffusers import ModelMixin, SchedulerMixin
from torch import nn
from transformers import PreTrainedModel, PreTrainedTokenizerBase

from tui.protocol.problem import LatenttyError, Problem
from tui.worker.bitsandbytes_weights import bring_to_host
from tui.worker.blueprint import Part, incomplete
from tui.worker.memory import is_out_of_memory
from tui.worker.processors import load_processor_of
from tui.worker.quantised import EightBitFolder
from tui.worker.shared_tokenizers import SharedTokenizer
from tui.worker.single_file import TORCH_DTYPES, FilePart
from tui.worker.skeleton import built

T = TypeVar("T")


def holds_weights(part: Part) -> bool:
    """Whether `part` is a module."""
    return issubclass(part.kind, ModelMixin | PreTrainedModel)


def load_module(part: Part, dtype: torch.dtype) -> nn.Module:
    """The module of `part` with its weights as the files have them: mapped, not copied, and none of them missing.

    Quantised weights are unpacked to `dtype` while they compute.

    No pickle is opened, nothing is fetched, no code from the folder runs.

    Raises:
        LatenttyError: it is damaged or incomplete, or cannot be computed with on this box.
    """
    if part.needs_gpu and not torch.cuda.is_available():
        raise LatenttyError(
            Problem(
                code="model_damaged",
                cause=f"The model {part.folder} cannot be used: bitsandbytes saved it, which computes on a GPU alone.",
                hint="On this box use its weights as they were before, or a GGUF file of them.",
            )
        )
    if isinstance(part, FilePart | EightBitFolder):
        return _whole(part, _guarded(part, lambda: part.load(dtype)), {})

    if (module := _guarded(part, lambda: built(part))) is not None:
        return module  # it would not be one if it lacked anything

    def read() -> Any:
        return part.kind.from_pretrained(
            part.folder,
            dtype=_file_dtype(part),
            variant=part.variant,
            use_safetensors=True,
            local_files_only=True,
            output_loading_info=True,
        )

    module = _whole(part, *_guarded(part, read))
    if part.needs_gpu:
        bring_to_host(module)  # where the weights of other modules are, too, until they are needed
    return module


def _whole(part: Part, module: Any, info: dict[str, Any]) -> nn.Module:
    """`module`, when none of its weights is missing."""
    if missing := sorted(info.get("missing_keys", ())):
        raise incomplete(part.folder, f"it lacks {len(missing)} weights, such as {missing[0]}")
    if info.get("mismatched_keys"):
        raise incomplete(part.folder, "it has weights of another shape than its config.json says")
    empty = next((key for key, tensor in module.state_dict().items() if tensor.is_meta), None)
    if empty is not None:
        raise incomplete(part.folder, f"it lacks the weight {empty}")
    assert isinstance(module, nn.Module)
    return module


def load_processor(part: Part) -> Any:
    """A part without weights: a tokenizer or a processor.

    Raises:
        LatenttyError: it is damaged.
    """
    if issubclass(part.kind, SchedulerMixin):
        raise incomplete(part.folder, "it is a second scheduler")
    if isinstance(part, SharedTokenizer):
        return _guarded(part, part.load)
    return _guarded(part, lambda: load_processor_of(part.kind, part.folder))


def _guarded(part: Part, read: Callable[[], T]) -> T:
    """What `read` returns; whatever it raises means that the part is damaged, unless memory ran out."""
    try:
        return read()
    except Exception as error:  # the libraries raise whatever their parsers do
        if is_out_of_memory(error):
            raise
        place = part.single.path if isinstance(part, FilePart) else part.folder
        raise incomplete(place, (str(error).strip().splitlines() or [type(error).__name__])[0].rstrip(".")) from None


def check_tokenizers(path: Path, parts: dict[str, Any]) -> None:
    """A tokenizer whose files are gone loads as one with two words, and every prompt then means nothing.

    Raises:
        LatenttyError: one of `parts` is such a tokenizer.
    """
    for name, part in parts.items():
        encoder = parts.get(name.replace("tokenizer", "text_encoder"))
        if isinstance(part, PreTrainedTokenizerBase) and isinstance(encoder, PreTrainedModel):
            words, rows = len(part), encoder.get_input_embeddings().weight.shape[0]
            if words > rows or words < rows // 2:
                raise incomplete(path, f"{name} knows {words} words and its encoder {rows}")


def same_weights(one: Part, other: Part) -> bool:
    """Whether two parts in different files are equal, byte for byte; the first difference ends the look.

    A part whose files have changed since it was read equals nothing.
    """
    if isinstance(one, EightBitFolder) or isinstance(other, EightBitFolder):
        return False
    if isinstance(one, FilePart) and isinstance(other, FilePart):
        if one.quantised or other.quantised:
            return False
        return one.shape == other.shape and not one.changed and not other.changed and one.same_bytes(other)
    if isinstance(one, FilePart) or isinstance(other, FilePart):
        return False  # the two lay their weights out in different ways
    if one.shape != other.shape or len(one.files) != len(other.files) or one.changed or other.changed:
        return False
    return all(filecmp.cmp(a, b, shallow=False) for a, b in zip(one.files, other.files, strict=True))


def _file_dtype(part: Part) -> torch.dtype:
    """The type that the weights have on the disk: loading in it maps the file instead of copying it."""
    return TORCH_DTYPES.get(part.headers[0].dtype, torch.float32) if part.headers else torch.float32
