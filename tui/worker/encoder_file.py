"""Text encoders in a file of their own: safetensors, of 8 bits with scales too, or GGUF."""

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

import torch
from accelerate import init_empty_weights
from diffusers.quantizers.gguf.utils import GGUFParameter, dequantize_gguf_tensor
from safetensors.torch import load_file

from tui.library.gguf_header import GGUF
from tui.library.loose_parts import bare
from tui.worker.blueprint import Part, incomplete
from tui.worker.mapped_gguf import mapped_gguf
from tui.worker.scaled import unscaled
from tui.worker.single_file import TORCH_DTYPES, FilePart, OwnFile

PROJECTION: Final = "text_projection.weight"
"""Of a CLIP whose pooled output is projected; a file without it means that it stays as it is."""

HEAD: Final = "lm_head.weight"
"""Of a language model; no picture needs what it says."""

MADE_UP: Final = ("position_ids", "embed_tokens.weight", HEAD)
"""Weights that files may leave out: counted up, the same as others, or not needed."""

_GGUF_NAMES: Final = {
    "t5": (
        (r"token_embd", "shared"),
        (r"enc\.output_norm", "encoder.final_layer_norm"),
        (r"enc\.blk\.(\d+)\.attn_norm", r"encoder.block.\1.layer.0.layer_norm"),
        (r"enc\.blk\.(\d+)\.attn_([qkvo])", r"encoder.block.\1.layer.0.SelfAttention.\2"),
        (r"enc\.blk\.(\d+)\.attn_rel_b", r"encoder.block.\1.layer.0.SelfAttention.relative_attention_bias"),
        (r"enc\.blk\.(\d+)\.ffn_norm", r"encoder.block.\1.layer.1.layer_norm"),
        (r"enc\.blk\.(\d+)\.ffn_gate", r"encoder.block.\1.layer.1.DenseReluDense.wi_0"),
        (r"enc\.blk\.(\d+)\.ffn_up", r"encoder.block.\1.layer.1.DenseReluDense.wi_1"),
        (r"enc\.blk\.(\d+)\.ffn_up", r"encoder.block.\1.layer.1.DenseReluDense.wi"),
        (r"enc\.blk\.(\d+)\.ffn_down", r"encoder.block.\1.layer.1.DenseReluDense.wo"),
    ),
    "qwen3": (
        (r"token_embd", "embed_tokens"),
        (r"output_norm", "norm"),
        (r"blk\.(\d+)\.attn_norm", r"layers.\1.input_layernorm"),
        (r"blk\.(\d+)\.attn_([qkv])", r"layers.\1.self_attn.\2_proj"),
        (r"blk\.(\d+)\.attn_([qk])_norm", r"layers.\1.self_attn.\2_norm"),
        (r"blk\.(\d+)\.attn_output", r"layers.\1.self_attn.o_proj"),
        (r"blk\.(\d+)\.ffn_norm", r"layers.\1.post_attention_layernorm"),
        (r"blk\.(\d+)\.ffn_(gate|up|down)", r"layers.\1.mlp.\2_proj"),
    ),
}
"""What llama.cpp calls an encoder's layers (https://github.com/ggml-org/llama.cpp, gguf-py/gguf/tensor_mapping.py)."""


class EncoderFile(OwnFile):
    """A text encoder in a file of its own; its configuration is that of the one whose place it takes."""

    def load(self, dtype: torch.dtype) -> Any:
        """Its module."""
        return _loaded(self, dtype)


class EncoderInside(FilePart):
    """A text encoder among other parts in a checkpoint, under the names that it has in a file of its own."""

    def load(self, dtype: torch.dtype) -> Any:
        """Its module."""
        return _loaded(self, dtype)


def _loaded(part: FilePart, dtype: torch.dtype) -> Any:
    """The module of `part` with its file's weights under the names that its class has.

    Those of few bits become `dtype`; others stay as the file has them.
    """
    config, path = config_of(part), part.single.path
    if path.suffix.lower() == GGUF:
        read, stored = _unpacked(mapped_gguf(path), str(config.model_type), path, dtype), dtype
    else:
        tensors = load_file(path)
        mine = unscaled({name: tensors[name] for name in part.headers[0].tensors})
        stored = TORCH_DTYPES.get(part.headers[0].dtype, torch.float32)
        read = {bare(name): tensor.to(stored) if tensor.itemsize == 1 else tensor for name, tensor in mine.items()}
    shapes = skeleton(part)
    if PROJECTION in shapes and PROJECTION not in read:  # as CLIP-L is shared for Stable Diffusion 3
        read[PROJECTION] = torch.eye(*shapes[PROJECTION], dtype=stored)
    named = {name: read[bare(name)] for name in shapes if bare(name) in read and name != HEAD}
    lacking = [name for name in shapes if name not in named and not name.endswith(MADE_UP)]
    if lacking:
        raise incomplete(path, f"it lacks {len(lacking)} weights of the text encoder, such as {lacking[0]}")
    return part.kind.from_pretrained(None, config=config, state_dict=named, dtype=stored, local_files_only=True)


def _unpacked(
    tensors: Mapping[str, torch.Tensor], model: str, path: Path, dtype: torch.dtype
) -> dict[str, torch.Tensor]:
    """The tensors of a GGUF file as numbers, under the names that transformers has without prefixes.

    Raises:
        LatenttyError: it is of a model whose names are not known.
    """
    if model not in _GGUF_NAMES:
        known = ", ".join(sorted(_GGUF_NAMES))
        raise incomplete(path, f"of text encoders in GGUF files {known} are known, not {model}")
    read: dict[str, torch.Tensor] = {}
    for name, tensor in tensors.items():
        for theirs in transformers_names(name, model):
            numbers = dequantize_gguf_tensor(tensor) if isinstance(tensor, GGUFParameter) else tensor
            read[theirs] = numbers.as_subclass(torch.Tensor).to(dtype)
    return read


def transformers_names(name: str, model: str) -> list[str]:
    """What the tensor `name` of a GGUF file may be called in a `model`, such as "t5", without prefixes."""
    found = ((re.fullmatch(rf"{ours}\.(?:weight|bias)", name), theirs) for ours, theirs in _GGUF_NAMES.get(model, ()))
    return [f"{match.expand(theirs)}.{name.rpartition('.')[2]}" for match, theirs in found if match]


def config_of(part: Part) -> Any:
    """The configuration of a text encoder."""
    return part.kind.config_class.from_pretrained(part.folder, local_files_only=True)


def skeleton(part: Part) -> dict[str, tuple[int, ...]]:
    """The names and shapes of all weights of a text encoder."""
    with init_empty_weights():
        module = part.kind(config_of(part))
    return {name: tuple(tensor.shape) for name, tensor in module.state_dict().items()}
