"""LoRA adapters: loaded once beside a model's weights, chosen anew by each job, and never merged into the weights."""

import hashlib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

from tui.library.safetensors_header import read_header
from tui.protocol.job import Adapter
from tui.protocol.problem import LatenttyError, Problem
from tui.worker.memory import is_out_of_memory

MAX_LOADED: Final = 8
"""Adapters that stay loaded beside one model; of more, the one used longest ago leaves."""


class AdapterSet:
    """The adapters that are loaded beside one model, the one used last at the end."""

    def __init__(self) -> None:
        self._loaded: list[str] = []

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
            names = [self.load(pipeline, adapter.path) for adapter in adapters]
            pipeline.enable_lora()
            pipeline.set_adapters(names, [adapter.weight for adapter in adapters])
            yield
        finally:
            if self._loaded:
                pipeline.disable_lora()

    def load(self, pipeline: Any, adapter: str) -> str:
        """Load the LoRA at the path `adapter` beside the weights, unless it is there; its name among them.

        Raises:
            LatenttyError: it is missing, damaged, or does not fit the model.
        """
        path = adapter_file(Path(adapter))
        found = path.stat()
        name = hashlib.sha256(f"{path.resolve()}|{found.st_size}|{found.st_mtime_ns}".encode()).hexdigest()[:16]
        if name in self._loaded:
            self._loaded.remove(name)
        else:
            self._make_room(pipeline)
            try:
                pipeline.load_lora_weights(
                    path.parent, weight_name=path.name, adapter_name=name, local_files_only=True, use_safetensors=True
                )
            except Exception as error:  # peft and diffusers raise whatever their parsers do
                if is_out_of_memory(error):
                    raise
                raise _unusable(path, str(error).strip().splitlines()[0]) from None
        self._loaded.append(name)
        return name

    def _make_room(self, pipeline: Any) -> None:
        while len(self._loaded) >= MAX_LOADED:
            pipeline.delete_adapters(self._loaded.pop(0))


def adapter_file(path: Path) -> Path:
    """The file that an adapter's path means: itself, or the one file in its folder; its header is checked.

    Raises:
        LatenttyError: it is missing, damaged or a pickle.
    """
    if path.is_dir():
        files = sorted(path.glob("*.safetensors"))
        if len(files) != 1:
            raise _unusable(path, f"the folder holds {len(files)} safetensors files, not one")
        path = files[0]
    if path.suffix != ".safetensors":
        raise _unusable(path, "only safetensors files are opened")
    if not any("lora" in name for name in read_header(path).tensors):
        raise _unusable(path, "it holds no LoRA weights")
    return path


def _unusable(path: Path, why: str) -> LatenttyError:
    return LatenttyError(
        Problem(
            code="model_damaged",
            cause=f"The LoRA {path.name} cannot be used: {why}.",
            hint="Choose one that was made for this model's family.",
        )
    )
