"""Textual inversions: rows that stand in for a word's, put in place while a prompt is encoded.

Neither the tokenizer nor the encoder's vocabulary changes, so there is nothing to undo and nothing that leaks.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import nn

from tui.library.adapter_header import read_adapter, unusable
from tui.protocol.job import Embedding


@dataclass(frozen=True)
class Inversion:
    """One textual inversion, read from its file."""

    name: str
    path: Path
    tensors: dict[str, torch.Tensor]
    rows: int
    """How many tokens it stands for."""

    def vectors(self, encoder: nn.Module) -> torch.Tensor:
        """Its rows for `encoder`: (rows, width).

        Raises:
            LatenttyError: it has none of that width.
        """
        words: Any = encoder
        width = words.get_input_embeddings().weight.shape[1]
        for tensor in self.tensors.values():
            if tensor.shape[-1] == width:
                return tensor.reshape(-1, width)
        raise unusable(self.path, f"it has no rows that are {width} wide")


def read_inversion(embedding: Embedding) -> Inversion:
    """The textual inversion that a job names.

    Raises:
        LatenttyError: it is missing, damaged, or none.
    """
    path = Path(embedding.path)
    header = read_adapter(path)
    if header.kind != "embedding":
        raise unusable(path, header.reason or "it is no textual inversion")
    try:
        tensors = load_file(path)
    except (OSError, SafetensorError) as error:
        raise unusable(path, str(error)) from None
    return Inversion(embedding.name, path, tensors, header.rows)


@contextmanager
def replaced_rows(encoder: nn.Module, ids: torch.Tensor, rows: torch.Tensor | None) -> Iterator[None]:
    """While inside, `encoder` sees `rows` where `ids` are below 0: -1 is the first row, -2 the second."""
    if rows is None or not bool((ids < 0).any()):
        yield
        return
    words: Any = encoder
    places = ids < 0
    wanted = rows[-1 - ids[places].cpu()]

    def put(_module: nn.Module, _arguments: object, output: torch.Tensor) -> torch.Tensor:
        changed = output.clone()
        changed[places] = wanted.to(device=output.device, dtype=output.dtype)
        return changed

    hook = words.get_input_embeddings().register_forward_hook(put)
    try:
        yield
    finally:
        hook.remove()
