"""A header is trusted only after every length and offset in it has been checked against the file."""

import json
import struct
from contextlib import suppress
from pathlib import Path

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from tui.library.models import BUNDLED
from tui.library.paths import bundled_models
from tui.library.safetensors_header import read_header
from tui.protocol.problem import LatenttyError

REAL = bundled_models() / BUNDLED / "vae" / "diffusion_pytorch_model.safetensors"


def file_with(folder: Path, header: object, data: bytes) -> Path:
    raw = header if isinstance(header, bytes) else json.dumps(header).encode()
    path = folder / "x.safetensors"
    path.write_bytes(struct.pack("<Q", len(raw)) + raw + data)
    return path


def entry(start: int, end: int, shape: list[int], dtype: str = "F16") -> dict[str, object]:
    return {"dtype": dtype, "shape": shape, "data_offsets": [start, end]}


def test_a_real_file_is_read() -> None:
    header = read_header(REAL)
    assert header.dtype == "F16"
    assert REAL.stat().st_size - header.bytes < 100_000


@pytest.mark.parametrize(
    ("header", "data", "why"),
    [
        ({"a": entry(0, 4, [2])}, b"1234", None),
        ({"__metadata__": {"k": "v"}, "a": entry(0, 4, [2])}, b"1234", None),
        ({"a": entry(0, 4, [2]), "b": entry(2, 6, [2])}, b"123456", "overlaps"),
        ({"a": entry(0, 4, [2]), "b": entry(6, 8, [1])}, b"12345678", "hole"),
        ({"a": entry(0, 4, [3])}, b"1234", "shape"),
        ({"a": entry(0, 4, [2**31, 2**31, 2**31])}, b"1234", "shape"),
        ({"a": entry(0, 4, [2], "F99")}, b"1234", "shape"),
        ({"a": entry(0, 4, [-2])}, b"1234", "header"),
        ({"a": entry(0, 4, [2**62] * 200_000)}, b"1234", "header"),  # whose product takes minutes
        ({"a": entry(0, 4, [2])}, b"12", "should hold 4 bytes"),
        ({"a": entry(0, 4, [2])}, b"123456", "should hold 4 bytes"),
        (b"[1, 2]", b"", "header"),
        (b"{" * 200_000, b"", "header"),
        (b"\xff\xfe", b"", "header"),
    ],
)
def test_what_does_not_add_up_is_named(tmp_path: Path, header: object, data: bytes, why: str | None) -> None:
    path = file_with(tmp_path, header, data)
    if why is None:
        assert read_header(path).tensors["a"].bytes == 4
        return
    with pytest.raises(LatenttyError, match=why) as caught:
        read_header(path)
    assert caught.value.problem.code == "model_damaged"


@given(cut=st.integers(0, 60_000))
def test_a_cut_file_is_damaged_wherever_it_was_cut(tmp_path_factory: pytest.TempPathFactory, cut: int) -> None:
    path = tmp_path_factory.getbasetemp() / "cut.safetensors"
    with REAL.open("rb") as file:
        path.write_bytes(file.read(cut))
    with pytest.raises(LatenttyError):
        read_header(path)


@given(junk=st.binary(max_size=200))
@example(junk=struct.pack("<Q", 2) + b"{}")
def test_junk_is_refused_or_adds_up_to_the_last_byte(tmp_path_factory: pytest.TempPathFactory, junk: bytes) -> None:
    path = tmp_path_factory.getbasetemp() / "junk.safetensors"
    path.write_bytes(junk)
    with suppress(LatenttyError):
        header = read_header(path)
        assert header.bytes + int.from_bytes(junk[:8], "little") + 8 == len(junk), "by chance it is sound"


def test_a_huge_header_length_reads_nothing(tmp_path: Path) -> None:
    path = tmp_path / "x.safetensors"
    path.write_bytes(struct.pack("<Q", 2**63) + b"{}")
    with pytest.raises(LatenttyError, match="cut off"):
        read_header(path)
