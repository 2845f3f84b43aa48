"""LoRAs and textual inversions on the disk, by the names that prompts use."""

import os
import threading
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Final

from tui.library.adapter_header import AdapterHeader, read_adapter
from tui.library.listing import is_tellable
from tui.library.paths import bundled_models
from tui.protocol.problem import LatenttyError, Problem

LOOK_AGAIN: Final = 20.0
"""Seconds that a listing of the folders holds for."""

MAX_DEPTH: Final = 6
MAX_INVERSION: Final = 16 << 20
"""Bytes of a file that may be a textual inversion."""

EMBEDDING_FOLDERS: Final = frozenset({"embedding", "embeddings", "textual_inversion", "textual-inversion"})


class Addons:
    """The adapter files below some folders. Safe to use from several threads."""

    def __init__(self, folders: Sequence[Path]) -> None:
        self._folders = folders
        self._lock = threading.Lock()
        self._files: dict[str, list[Path]] = {}
        self._listed = -LOOK_AGAIN
        self._headers: dict[tuple[Path, int, int], AdapterHeader] = {}

    def lora(self, name: str) -> Path:
        """The file of the LoRA called `name`: its file's name without the ending, or the name of its folder.

        Raises:
            LatenttyError: there is none, or it is damaged.
        """
        for path in self._called(name):
            if self.header(path).kind in ("lora", "loha", "lokr"):
                return path
        raise LatenttyError(
            Problem(
                code="not_found",
                cause=f"There is no LoRA called {name!r}.",
                hint="Put it below one of the model folders in the settings, or give its path.",
            )
        )

    def embeddings(self) -> dict[str, Path]:
        """Every textual inversion by its name."""
        found: dict[str, Path] = {}
        for path in self._all():
            if path.parent.name.lower() in EMBEDDING_FOLDERS and path.stat().st_size <= MAX_INVERSION:
                try:
                    if self.header(path).kind == "embedding":
                        found.setdefault(path.stem, path)
                except LatenttyError:
                    continue  # a damaged file has no name that a prompt could mean
        return found

    def header(self, path: Path) -> AdapterHeader:
        """What the file at `path` holds, read once.

        Raises:
            LatenttyError: it is missing or damaged.
        """
        try:
            found = path.stat()
        except OSError as error:
            raise LatenttyError(
                Problem(code="model_missing", cause=f"{path} cannot be read: {error.strerror}.", hint="Put it back.")
            ) from None
        key = (path, found.st_size, found.st_mtime_ns)
        if key not in self._headers:
            self._headers[key] = read_adapter(path)
        return self._headers[key]

    def _called(self, name: str) -> Iterator[Path]:
        wanted = name.lower().removesuffix(".safetensors")
        listed = self._listing()
        yield from listed.get(wanted.rpartition("/")[2], [])

    def _all(self) -> Iterator[Path]:
        seen = set()
        for paths in self._listing().values():
            for path in paths:
                if path not in seen and path.exists():
                    seen.add(path)
                    yield path

    def _listing(self) -> dict[str, list[Path]]:
        with self._lock:
            if time.monotonic() - self._listed > LOOK_AGAIN:
                self._files = self._listed_now()
                self._listed = time.monotonic()
            return self._files

    def _listed_now(self) -> dict[str, list[Path]]:
        files: dict[str, list[Path]] = {}
        for root in (bundled_models(), *self._folders):
            for folder, inside, names in os.walk(root):
                depth = len(Path(folder).relative_to(root).parts)
                model = "model_index.json" in names
                inside[:] = [] if model or depth >= MAX_DEPTH else sorted(n for n in inside if not n.startswith("."))
                paths = (Path(folder) / name for name in sorted(names) if name.endswith(".safetensors"))
                found = [path for path in paths if is_tellable(path)]
                for path in [] if model else found:
                    files.setdefault(path.stem.lower(), []).append(path)
                    if len(found) == 1:
                        files.setdefault(Path(folder).name.lower(), []).append(path)
        return files
