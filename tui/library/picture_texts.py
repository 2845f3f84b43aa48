"""The texts that a picture's file carries, read within bounds: nothing that a hostile file claims is believed.

PNG's chunks are walked here, without decoding the picture; JPEG, WEBP and AVIF carry theirs as EXIF, XMP or a comment.
"""

import base64
import os
import struct
import zlib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import BinaryIO, Final

from msgspec import Struct
from msgspec.structs import replace
from PIL import ExifTags, Image

from tui.library.bounded import open_ordinary
from tui.library.picture_bounds import MAX_PACKED
from tui.library.xmp import xmp_texts
from tui.protocol.problem import LatenttyError, Problem

OWN_KEY: Final = "latentty"
"""What our own text is called."""

PACKED: Final = "latentty:"
"""What it begins with where a format has no names for texts."""

MAX_TEXT: Final = 8_000_000
"""Bytes of one text, after it was inflated."""

MAX_TEXTS: Final = 16_000_000
"""Bytes of all texts of one file."""

MAX_CHUNKS: Final = 200_000

XMP: Final = "XML:com.adobe.xmp"
"""What PNG calls the text that is a packet of XMP."""

PNG_SIGNATURE: Final = b"\x89PNG\r\n\x1a\n"
USER_COMMENT: Final = 0x9286
"""The EXIF tag in which A1111 and most others keep their parameters."""

IMAGE_DESCRIPTION, MAKE, MODEL, SOFTWARE = 0x010E, 0x010F, 0x0110, 0x0131
_EXIF_NAMES: Final = {IMAGE_DESCRIPTION: "description", MAKE: "make", MODEL: "model", SOFTWARE: "Software"}


class PictureTexts(Struct, frozen=True, kw_only=True):
    """What was found in one file."""

    width: int
    height: int
    texts: dict[str, str]
    """By PNG's keywords; "exif" is the EXIF user comment, "comment" a JPEG's."""


def read_texts(path: Path) -> PictureTexts:
    """The size and the texts of the picture at `path`, which is not decoded.

    Raises:
        LatenttyError: it is gone, no picture that we read, or malformed.
    """
    try:
        with open_ordinary(path) as file:
            if file.read(8) == PNG_SIGNATURE:
                return _with_xmp(_png(path, file))
            if os.fstat(file.fileno()).st_size > MAX_PACKED:
                raise unreadable(path, f"it holds more than {MAX_PACKED >> 20} MiB and is no PNG")
            file.seek(0)
            with Image.open(file, formats=["JPEG", "WEBP", "AVIF"]) as image:
                return _with_xmp(PictureTexts(width=image.width, height=image.height, texts=dict(_exif(image))))
    except OSError as error:
        raise unreadable(path, error.strerror or "it is no PNG, JPEG, WEBP or AVIF picture") from None
    except (ValueError, SyntaxError, KeyError, TypeError, struct.error, RuntimeError) as error:
        raise unreadable(path, f"it is malformed ({error})") from None
    except Image.DecompressionBombError:
        raise unreadable(path, "it claims to have more pixels than any picture") from None


def _with_xmp(found: PictureTexts) -> PictureTexts:
    """What was `found`, and what its packet of XMP tells under names that nothing else has."""
    packet = found.texts.pop(XMP, "")
    return replace(found, texts=xmp_texts(packet) | found.texts) if packet else found


def unreadable(path: Path, why: str) -> LatenttyError:
    """The error for a picture that tells nothing because it cannot be read."""
    return LatenttyError(
        Problem(code="bad_request", cause=f"{path} cannot be read: {why}.", hint="Choose another picture.")
    )


def _png(path: Path, file: BinaryIO) -> PictureTexts:
    size = os.fstat(file.fileno()).st_size
    texts: dict[str, str] = {}
    width = height = 0
    total = 0
    for _ in range(MAX_CHUNKS):
        head = file.read(8)
        if len(head) < 8:
            break
        length, kind = struct.unpack(">I4s", head)
        if length > size - file.tell():
            if width:
                break  # cut off: what came before is whole
            raise unreadable(path, "it is cut off")
        if kind == b"IHDR":
            width, height = struct.unpack(">II", file.read(8))
            file.seek(length - 8 + 4, os.SEEK_CUR)
        elif kind in _TEXT_CHUNKS and length <= MAX_TEXT:
            name, text = _TEXT_CHUNKS[kind](file.read(length))
            total += len(text)
            if total > MAX_TEXTS:
                raise unreadable(path, f"it carries more than {MAX_TEXTS} bytes of text")
            texts.setdefault(name, text)
            file.seek(4, os.SEEK_CUR)
        elif kind in _TEXT_CHUNKS:
            raise unreadable(path, f"it carries a text of {length} bytes")
        elif kind == b"eXIf" and length <= MAX_TEXT:
            exif = Image.Exif()
            exif.load(file.read(length))
            texts |= {name: text for name, text in _exif_texts(exif) if name not in texts}
            file.seek(4, os.SEEK_CUR)
        elif kind == b"IEND":
            break
        else:
            file.seek(length + 4, os.SEEK_CUR)
    if not width:
        raise unreadable(path, "it has no header")
    return PictureTexts(width=width, height=height, texts=texts)


def _plain_chunk(data: bytes) -> tuple[str, str]:
    keyword, _, text = data.partition(b"\0")
    return keyword.decode("latin-1"), _utf8_or_latin(text)


def _zipped_chunk(data: bytes) -> tuple[str, str]:
    keyword, _, rest = data.partition(b"\0")
    return keyword.decode("latin-1"), _utf8_or_latin(inflated(rest[1:]))


def _international_chunk(data: bytes) -> tuple[str, str]:
    keyword, _, rest = data.partition(b"\0")
    zipped, rest = rest[:1] == b"\1", rest[2:]
    _language, _, rest = rest.partition(b"\0")
    _translated, _, text = rest.partition(b"\0")
    return keyword.decode("latin-1"), (inflated(text) if zipped else text).decode("utf-8", errors="replace")


_TEXT_CHUNKS: Final = {b"tEXt": _plain_chunk, b"zTXt": _zipped_chunk, b"iTXt": _international_chunk}


def inflated(data: bytes, form: int = zlib.MAX_WBITS) -> bytes:
    """`data` inflated; `form` is zlib's `wbits`.

    Raises:
        ValueError: it is damaged, or grows beyond :data:`MAX_TEXT`.
    """
    try:
        inflater = zlib.decompressobj(form)
        text = inflater.decompress(data, MAX_TEXT)
    except zlib.error as error:
        raise ValueError(f"a text that cannot be inflated: {error}") from None
    if inflater.unconsumed_tail:
        raise ValueError(f"a text that grows beyond {MAX_TEXT} bytes")
    return text


def _utf8_or_latin(text: bytes) -> str:
    """PNG says Latin-1, most programs write UTF-8 all the same."""
    try:
        return text.decode("utf-8")
    except UnicodeDecodeError:
        return text.decode("latin-1")


def _exif(image: Image.Image) -> Iterator[tuple[str, str]]:
    yield from _exif_texts(image.getexif())
    comment = image.info.get("comment")
    if isinstance(comment, bytes):
        yield "comment", _utf8_or_latin(comment[:MAX_TEXT])
    elif isinstance(comment, str):
        yield "comment", comment[:MAX_TEXT]
    packet = image.info.get("xmp")
    if isinstance(packet, bytes) and len(packet) <= MAX_TEXT:
        yield XMP, packet.decode("utf-8", errors="replace")


def _exif_texts(exif: Image.Exif) -> Iterator[tuple[str, str]]:
    comment = exif.get_ifd(ExifTags.IFD.Exif).get(USER_COMMENT)
    if isinstance(comment, bytes):
        yield "exif", decode_comment(comment[:MAX_TEXT])
    elif isinstance(comment, str):
        yield "exif", comment[:MAX_TEXT]
    for tag, name in _EXIF_NAMES.items():
        value = exif.get(tag)
        if isinstance(value, bytes):
            value = _utf8_or_latin(value)
        if isinstance(value, str) and value:
            yield name, value[:MAX_TEXT]


def decode_comment(comment: bytes) -> str:
    """An EXIF user comment, whose first eight bytes name its encoding; programs differ in the order of its bytes."""
    code, body = comment[:8], comment[8:]
    if code == b"UNICODE\0":
        big = body.decode("utf-16-be", errors="replace")
        little = body.decode("utf-16-le", errors="replace")
        return (big if _ascii_share(big) >= _ascii_share(little) else little).strip("\0")
    if code == b"ASCII\0\0\0":
        return _utf8_or_latin(body).strip("\0")
    return _utf8_or_latin(comment.lstrip(b"\0")).strip("\0")


def encode_comment(text: str) -> bytes:
    """`text` as an EXIF user comment."""
    return b"UNICODE\0" + text.encode("utf-16-be", errors="surrogatepass")


def packed_text(text: str) -> str:
    """`text` deflated, in letters that every format keeps."""
    return PACKED + base64.b64encode(zlib.compress(text.encode("utf-8", errors="surrogatepass"), 9)).decode()


def own_part(texts: Mapping[str, str]) -> str:
    """Our own text among those of a file, unpacked; empty when there is none.

    Raises:
        LatenttyError: what claims to be it is damaged.
    """
    if OWN_KEY in texts:
        return texts[OWN_KEY]
    for name in ("comment", "description"):
        text = texts.get(name, "")
        if text.startswith(PACKED):
            try:
                return inflated(base64.b64decode(text.removeprefix(PACKED), validate=True)).decode("utf-8")
            except ValueError as error:
                raise unreadable(Path(name), f"what it tells is damaged ({error})") from None
    return ""


def _ascii_share(text: str) -> float:
    return sum(" " <= letter <= "~" or letter == "\n" for letter in text) / max(len(text), 1)
