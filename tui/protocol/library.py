"""What lies in the user's model folders, file by file: the library."""

from typing import Final, Literal

from msgspec import Struct

from tui.protocol.problem import Problem

FileKind = Literal[
    "checkpoint",
    "lora",
    "embedding",
    "vae",
    "controlnet",
    "t2i-adapter",
    "ip-adapter",
    "upscaler",
    "text encoder",
    "image encoder",
    "unknown",
]

BUNDLED_PLACE: Final = "Latentty"
"""The :attr:`ModelFile.place` of what comes with the program."""

Form = Literal["folder", "safetensors", "gguf", "pickle"]


class ModelFile(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One model of any kind: a file, or a folder in the layout of diffusers. Everything is from headers alone."""

    path: str
    name: str
    kind: FileKind = "unknown"
    form: Form = "safetensors"
    family: str = ""
    """The id of the family that it belongs to or was made for; empty when it does not tell."""
    base: str = ""
    """What it says itself about the model that it was made for."""
    precision: str = ""
    """The type of most of its weights, such as F16 or Q4_K."""
    parameters: int = 0
    bytes: int = 0
    modified: float = 0.0
    title: str = ""
    author: str = ""
    license: str = ""
    trigger_words: list[str] = []
    preview: str = ""
    """A picture beside it."""
    place: str = ""
    """Whose folder it lies in, such as "ComfyUI"."""
    blake3: str = ""
    """Empty until the background has come to it."""
    sha256: str = ""
    old_hash: str = ""
    """The eight letters by which old pictures name a checkpoint."""
    problem: Problem | None = None
    """Why it cannot be used or is not known."""

    @property
    def bundled(self) -> bool:
        """Whether it comes with the program, and fits the bundled model alone."""
        return self.place == BUNDLED_PLACE

    @property
    def short_hash(self) -> str:
        """The ten letters by which pictures name a model."""
        return self.sha256[:10]


class LibraryPage(Struct, frozen=True, kw_only=True):
    """Some of the files that a question fits."""

    total: int
    counts: dict[str, int]
    """How many files of each kind fit, on whatever page."""
    files: list[ModelFile]
    folders: list[str] = []
    """What the last whole search looked through; empty before there was one."""
