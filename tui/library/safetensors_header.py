"""The header of a safetensors file, checked before anything trusts it.

Format: https://huggingface.co/docs/safetensors - eight bytes with the header's length, the header as JSON, then the
tensors' bytes without holes. Loading a damaged file through transformers can read all of it as text first, which
costs seconds and gigabytes; reading the header costs milliseconds.
"""

import os
import re
from pathlib import Path
from typing import Annotated, Final

import msgspec
from msgspec import Meta, Struct

from tui.library.bounded import open_ordinary, unreadable
from tui.protocol.problem import LatenttyError, Problem

MAX_HEADER: Final = 100_000_000
"""Bytes; the limit that the format's own library keeps."""

HEAD: Final = 256
"""Bytes by which a pickle is known, whatever its name."""

_PICKLE: Final = re.compile(
    rb"\x80[\x02-\x05]"  # since protocol 2
    rb"|PK\x03\x04"  # torch's form since 1.6: a zip with pickles in it
    rb"|[(\]}]*c[\w.]+\n[\w.]+\n"  # protocols 0 and 1, where the first thing is a class
)

DTYPE_BITS: Final = {
    "BOOL": 8, "U8": 8, "I8": 8, "F8_E5M2": 8, "F8_E4M3": 8, "F8_E8M0": 8, "I16": 16, "U16": 16, "F16": 16, "BF16": 16,
    "I32": 32, "U32": 32, "F32": 32, "I64": 64, "U64": 64, "F64": 64, "C64": 64, "F4": 4, "F6_E2M3": 6, "F6_E3M2": 6,
}  # fmt: skip

MAX_DIMENSIONS: Final = 64
"""As many as torch allows; the product of a million would take days."""

_Size = Annotated[int, Meta(ge=0, le=2**62)]


class Tensor(Struct, frozen=True):
    """One tensor's entry."""

    dtype: str
    shape: Annotated[list[_Size], Meta(max_length=MAX_DIMENSIONS)]
    data_offsets: tuple[_Size, _Size]
    """First byte and the byte after the last, counted from the end of the header."""

    @property
    def bytes(self) -> int:
        return self.data_offsets[1] - self.data_offsets[0]


class Header(Struct, frozen=True):
    """What a safetensors file holds."""

    tensors: dict[str, Tensor]
    metadata: dict[str, str]

    @property
    def bytes(self) -> int:
        """Of all tensors."""
        return sum(tensor.bytes for tensor in self.tensors.values())

    @property
    def dtype(self) -> str:
        """The type that most bytes have, such as "F16"; empty in an empty file."""
        totals: dict[str, int] = {}
        for tensor in self.tensors.values():
            totals[tensor.dtype] = totals.get(tensor.dtype, 0) + tensor.bytes
        return max(totals, key=lambda dtype: totals[dtype], default="")


def read_header(path: Path) -> Header:
    """The header of the file at `path`, with every length and offset checked against the file's size.

    Raises:
        LatenttyError: "model_missing" when it cannot be opened, "model_damaged" with the reason otherwise.
    """
    try:
        with open_ordinary(path) as file:
            size = os.fstat(file.fileno()).st_size
            head = file.read(HEAD)
            if _PICKLE.match(head):
                raise _pickled(path)
            length = int.from_bytes(head[:8], "little")
            if size < 8 or length > min(MAX_HEADER, size - 8):
                raise _damaged(path, _told_by(head) or "it is cut off, or no safetensors file")
            file.seek(8)
            raw = file.read(length)
    except OSError as error:
        raise unreadable(path, error) from None
    return _checked(path, raw, size - 8 - length)


def _told_by(head: bytes) -> str:
    """What a file is instead that begins with `head`, where that can be told."""
    if head.startswith(b"version https://git-lfs"):
        return "it is git-lfs's note of where the file is, not the file (git lfs pull fetches it)"
    if head.lstrip().startswith(b"<"):
        return "it is a web page, such as one that asks to log in"
    if head.startswith(b"GGUF"):
        return "it is a GGUF file and must be called .gguf"
    return ""


def _checked(path: Path, raw: bytes, data_bytes: int) -> Header:
    try:
        entries = msgspec.json.decode(raw, type=dict[str, msgspec.Raw])
        metadata = msgspec.json.decode(entries.pop("__metadata__", b"{}"), type=dict[str, str])
        tensors = {name: msgspec.json.decode(entry, type=Tensor) for name, entry in entries.items()}
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise _damaged(path, f"its header cannot be read ({error})") from None
    end = 0
    for name, tensor in sorted(tensors.items(), key=lambda item: item[1].data_offsets):
        if tensor.data_offsets[0] != end:
            raise _damaged(path, f"the tensor {name!r} overlaps another or leaves a hole")
        if tensor.bytes != _bytes_of(tensor):
            raise _damaged(path, f"the tensor {name!r} has a size that does not fit its shape")
        end = tensor.data_offsets[1]
    if end != data_bytes:
        raise _damaged(path, f"it should hold {end} bytes of weights and holds {data_bytes}")
    return Header(tensors=tensors, metadata=metadata)


def _bytes_of(tensor: Tensor) -> int:
    bits = DTYPE_BITS.get(tensor.dtype, -1)
    for extent in tensor.shape:
        bits *= extent
    return -(-bits // 8)


def _pickled(path: Path) -> LatenttyError:
    return LatenttyError(
        Problem(
            code="model_damaged",
            cause=f"{path} is a Python pickle, which can run code when it is opened.",
            hint="Convert it to safetensors where you trust it.",
        )
    )


def _damaged(path: Path, why: str) -> LatenttyError:
    return LatenttyError(
        Problem(code="model_damaged", cause=f"{path} is damaged: {why}.", hint="Copy or download the file again.")
    )
