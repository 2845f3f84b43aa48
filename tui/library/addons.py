"""What a job may name beside its model: LoRAs, textual inversions, VAEs and text encoders, found in the library."""

from collections.abc import Callable, Iterator, Sequence
from functools import cache
from pathlib import Path
from typing import Final

from tui.library.adapter_header import AdapterHeader, read_adapter
from tui.library.bounded import unreadable
from tui.library.identify import identify_file
from tui.library.paths import bundled_models
from tui.protocol.library import BUNDLED_PLACE, FileKind, ModelFile
from tui.protocol.problem import LatenttyError, Problem

KINDS: Final[dict[FileKind, str]] = {"lora": "LoRA", "vae": "VAE", "text encoder": "text encoder"}
"""What is named by jobs, and how it is called in sentences."""


@cache
def bundled_addons() -> tuple[ModelFile, ...]:
    """The LoRAs and embeddings that come with the program. They were made for the bundled model and fit no other."""
    found = (path for kind in ("lora", "embedding") for path in bundled_models().glob(f"*-{kind}-*/*.safetensors"))
    return tuple(identify_file(path, BUNDLED_PLACE) for path in sorted(found))


class NoSuchAddon(LatenttyError):
    """The library has none of that name; it may have come since the last search."""


class Addons:
    """Files of the library and those that come with the program, by the names that people use for them.

    Safe to use from several threads.
    """

    def __init__(self, files: Callable[[], Sequence[ModelFile]]) -> None:
        self._files = files
        self._headers: dict[tuple[Path, int, int], AdapterHeader] = {}

    def find(self, kind: FileKind, name: str) -> Path:
        """The file or folder of that kind called `name`: as the library calls it, or by its file's or folder's name.

        Raises:
            NoSuchAddon: there is none that can be used.
        """
        wanted = name.lower().removesuffix(".safetensors").removesuffix(".gguf").rpartition("/")[2]
        for file in self._all(kind):
            path = Path(file.path)
            if wanted in (file.name.lower(), path.stem.lower(), path.name.lower()):
                return path
        raise NoSuchAddon(
            Problem(
                code="model_missing",
                cause=f"There is no {KINDS[kind]} called {name!r}.",
                hint="Put it below one of the model folders in the settings, or give its path.",
            )
        )

    def lora(self, name: str) -> Path:
        """The file of the LoRA called `name`.

        Raises:
            NoSuchAddon: there is none that can be used.
        """
        return self.find("lora", name)

    def embeddings(self) -> dict[str, Path]:
        """Every textual inversion by its name."""
        found: dict[str, Path] = {}
        for file in self._all("embedding"):
            found.setdefault(file.name, Path(file.path))
        return found

    def header(self, path: Path) -> AdapterHeader:
        """What the file at `path` holds, read once.

        Raises:
            LatenttyError: it is missing or damaged.
        """
        try:
            found = path.stat()
        except OSError as error:
            raise unreadable(path, error) from None
        key = (path, found.st_size, found.st_mtime_ns)
        if key not in self._headers:
            self._headers[key] = read_adapter(path)
        return self._headers[key]

    def _all(self, kind: FileKind) -> Iterator[ModelFile]:
        for file in (*bundled_addons(), *self._files()):
            if file.kind == kind and file.problem is None and Path(file.path).exists():
                yield file
