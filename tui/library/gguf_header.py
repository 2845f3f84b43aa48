"""The header of a GGUF file, checked before anything trusts it.

Format: https://github.com/ggml-org/ggml/blob/master/docs/gguf.md - a magic, a version, counts, key-value pairs, then
the tensors' names, shapes, types and offsets. The weights follow and are not read.
"""

import os
import re
import struct
from io import BufferedReader
from pathlib import Path
from typing import Final

from msgspec import Struct

from tui.library.bounded import open_ordinary, unreadable
from tui.library.safetensors_header import Header, Tensor, read_header
from tui.protocol.problem import LatenttyError, Problem

GGUF: Final = ".gguf"
"""How such files' names end."""

MAGIC: Final = b"GGUF"
MAX_HEADER: Final = 32 << 20
"""Bytes of the largest header that is read; vocabularies of text encoders take a few megabytes."""
MAX_TENSORS: Final = 100_000
MAX_PAIRS: Final = 100_000
MAX_TEXT: Final = 1 << 20
MAX_DEPTH: Final = 4

_SCALARS: Final = {0: "<B", 1: "<b", 2: "<H", 3: "<h", 4: "<I", 5: "<i", 6: "<f", 7: "<B", 10: "<Q", 11: "<q", 12: "<d"}
_STRING, _ARRAY = 8, 9

TYPES: Final[dict[int, tuple[str, int, int]]] = {
    0: ("F32", 1, 4), 1: ("F16", 1, 2), 2: ("Q4_0", 32, 18), 3: ("Q4_1", 32, 20), 6: ("Q5_0", 32, 22),
    7: ("Q5_1", 32, 24), 8: ("Q8_0", 32, 34), 9: ("Q8_1", 32, 36), 10: ("Q2_K", 256, 84), 11: ("Q3_K", 256, 110),
    12: ("Q4_K", 256, 144), 13: ("Q5_K", 256, 176), 14: ("Q6_K", 256, 210), 15: ("Q8_K", 256, 292),
    16: ("IQ2_XXS", 256, 66), 17: ("IQ2_XS", 256, 74), 18: ("IQ3_XXS", 256, 98), 19: ("IQ1_S", 256, 50),
    20: ("IQ4_NL", 32, 18), 21: ("IQ3_S", 256, 110), 22: ("IQ2_S", 256, 82), 23: ("IQ4_XS", 256, 136),
    24: ("I8", 1, 1), 25: ("I16", 1, 2), 26: ("I32", 1, 4), 27: ("I64", 1, 8), 28: ("F64", 1, 8),
    29: ("IQ1_M", 256, 56), 30: ("BF16", 1, 2), 34: ("TQ1_0", 256, 54), 35: ("TQ2_0", 256, 66),
}  # fmt: skip
"""By number: the name, the weights in a block and a block's bytes."""


class GgufTensor(Struct, frozen=True):
    """One tensor's entry."""

    type: str
    shape: list[int]
    """Slowest dimension first, as in safetensors; the file has it the other way round."""
    bytes: int

    @property
    def count(self) -> int:
        """How many weights it has."""
        total = 1
        for extent in self.shape:
            total *= extent
        return total


class GgufHeader(Struct, frozen=True):
    """What a GGUF file holds."""

    tensors: dict[str, GgufTensor]
    metadata: dict[str, str]
    """The pairs whose value is one text or number; arrays are left out."""

    @property
    def bytes(self) -> int:
        """Of all tensors."""
        return sum(tensor.bytes for tensor in self.tensors.values())

    @property
    def precision(self) -> str:
        """The type that most bytes have, such as "Q4_K"; empty in an empty file."""
        totals: dict[str, int] = {}
        for tensor in self.tensors.values():
            totals[tensor.type] = totals.get(tensor.type, 0) + tensor.bytes
        return max(totals, key=lambda kind: totals[kind], default="")

    @property
    def architecture(self) -> str:
        """Such as "flux" or "t5encoder"."""
        return self.metadata.get("general.architecture", "")


def as_safetensors(header: GgufHeader) -> Header:
    """The same names, shapes and sizes as a safetensors header; offsets have no counterpart and are left out."""
    return Header(
        tensors={name: Tensor(tensor.type, tensor.shape, (0, tensor.bytes)) for name, tensor in header.tensors.items()},
        metadata=header.metadata,
    )


class _Damaged(Exception):
    """Why the header cannot be trusted."""


def weights_header(path: Path) -> Header:
    """The header of the file at `path`, of GGUF or of safetensors, told in the terms of the latter.

    Raises:
        LatenttyError: it is missing or damaged.
    """
    return as_safetensors(read_gguf_header(path)) if path.suffix.lower() == GGUF else read_header(path)


def read_gguf_header(path: Path) -> GgufHeader:
    """The header of the file at `path`, with every count and offset checked against the file's size.

    Raises:
        LatenttyError: "model_missing" when it cannot be opened, "model_damaged" with the reason otherwise.
    """
    try:
        with open_ordinary(path) as file:
            return _read(_Reader(file, os.fstat(file.fileno()).st_size))
    except OSError as error:
        raise unreadable(path, error) from None
    except _Damaged as error:
        raise LatenttyError(
            Problem(code="model_damaged", cause=f"{path} is damaged: {error}.", hint="Copy or download the file again.")
        ) from None


class _Reader:
    def __init__(self, file: BufferedReader, size: int) -> None:
        self._file = file
        self.size = size

    @property
    def place(self) -> int:
        return self._file.tell()

    def take(self, count: int) -> bytes:
        if self.place + count > min(self.size, MAX_HEADER):
            raise _Damaged("its header is cut off, or larger than any that we know")
        return self._file.read(count)

    def skip(self, count: int) -> None:
        if self.place + count > min(self.size, MAX_HEADER):
            raise _Damaged("its header is cut off, or larger than any that we know")
        self._file.seek(count, os.SEEK_CUR)

    def number(self, form: str) -> int | float:
        value: int | float = struct.unpack(form, self.take(struct.calcsize(form)))[0]
        return value

    def count(self, limit: int, what: str) -> int:
        value = int(self.number("<Q"))
        if value > limit:
            raise _Damaged(f"it claims {value} {what}")
        return value

    def text(self) -> str:
        return self.take(self.count(MAX_TEXT, "letters in one text")).decode(errors="replace")

    def skip_text(self) -> None:
        self.skip(self.count(MAX_TEXT, "letters in one text"))

    def value(self, kind: int) -> str | None:
        """One value as text; None for an array, which is passed over."""
        if kind == _STRING:
            return self.text()
        if kind in _SCALARS:
            return f"{self.number(_SCALARS[kind]):g}" if kind in (6, 12) else str(self.number(_SCALARS[kind]))
        self._skip_array(kind, 0)
        return None

    def _skip_array(self, kind: int, depth: int) -> None:
        if kind != _ARRAY or depth > MAX_DEPTH:
            raise _Damaged(f"it has a value of the unknown type {kind}")
        inner, count = int(self.number("<I")), self.count(MAX_HEADER, "values in one list")
        if inner in _SCALARS:
            self.skip(count * struct.calcsize(_SCALARS[inner]))
            return
        for _ in range(count):
            if inner == _STRING:
                self.skip_text()
            else:
                self._skip_array(inner, depth + 1)


def _read(reader: _Reader) -> GgufHeader:
    if reader.take(4) != MAGIC:
        raise _Damaged("it is no GGUF file")
    if (version := reader.number("<I")) not in (2, 3):
        raise _Damaged(f"its version {version} is unknown")
    tensors, pairs = reader.count(MAX_TENSORS, "tensors"), reader.count(MAX_PAIRS, "settings")
    metadata = {}
    for _ in range(pairs):
        name = reader.text()
        value = reader.value(int(reader.number("<I")))
        if value is not None:
            metadata[name] = value
    found, places = {}, []
    for _ in range(tensors):
        name = reader.text()
        found[name], offset = _tensor(reader, name)
        places.append((offset, found[name].bytes, name))
    if len(found) != tensors:
        raise _Damaged("two tensors have one name")
    _check_places(reader, places, metadata)
    return GgufHeader(tensors=found, metadata=metadata)


def _tensor(reader: _Reader, name: str) -> tuple[GgufTensor, int]:
    dimensions = int(reader.number("<I"))
    if dimensions > 8:
        raise _Damaged(f"the tensor {name!r} has {dimensions} dimensions")
    shape = [int(reader.number("<Q")) for _ in range(dimensions)][::-1]
    number, offset = int(reader.number("<I")), int(reader.number("<Q"))
    if number not in TYPES:
        raise _Damaged(f"the tensor {name!r} is of the unknown type {number}")
    kind, block, block_bytes = TYPES[number]
    count = 1
    for extent in shape:
        count *= extent
    if count > 1 << 48 or (shape and shape[-1] % block):
        raise _Damaged(f"the tensor {name!r} has a shape that its type cannot have")
    return GgufTensor(kind, shape, count // block * block_bytes), offset


def _check_places(reader: _Reader, places: list[tuple[int, int, str]], metadata: dict[str, str]) -> None:
    given = metadata.get("general.alignment", "32")
    alignment = int(given) if re.fullmatch("[0-9]{1,7}", given) else 0
    if not 0 < alignment <= 1 << 20:
        raise _Damaged(f"its alignment {given!r} is not possible")
    start = -(-reader.place // alignment) * alignment
    end = 0
    for offset, length, name in sorted(places):
        if offset < end or offset % alignment:
            raise _Damaged(f"the tensor {name!r} overlaps another or is not aligned")
        end = offset + length
    if start + end > reader.size:
        raise _Damaged(f"it should hold {end} bytes of weights and holds {max(reader.size - start, 0)}")
