"""XMP, the XML in which some programs tell how a picture was made: Draw Things, savers of ComfyUI and photo editors.

It is read element by element, so that what a hostile packet costs is bounded by its length.
"""

from typing import Final
from xml.etree.ElementTree import ParseError, XMLParser

MAX_DEPTH: Final = 100

_NAMES: Final = {
    "prompt": "prompt",
    "workflow": "workflow",
    "parameters": "parameters",
    "UserComment": "exif",
    "description": "description",
    "CreatorTool": "Software",
}
"""What is read, by its name without the namespace, and what it is called in the other formats."""


def xmp_texts(packet: str) -> dict[str, str]:
    """What the XMP packet tells, by the names that other formats have for it; empty when it is malformed."""
    if "<!" in packet:  # declarations could stand for any number of letters; XMP has none
        return {}
    reader = _Reader()
    parser = XMLParser(target=reader)
    try:
        parser.feed(packet.strip("\0 \t\r\n\N{ZERO WIDTH NO-BREAK SPACE}"))
        parser.close()
    except (ParseError, ValueError):
        return {}
    return reader.texts


class _Reader:
    """Collects the texts of elements and attributes that are called as in :data:`_NAMES`."""

    def __init__(self) -> None:
        self.texts: dict[str, str] = {}
        self._depth = 0
        self._name = ""
        self._since = 0
        """How deep the element lies whose text is collected, which may stand in others inside of it."""
        self._parts: list[str] = []

    def start(self, tag: str, attributes: dict[str, str]) -> None:
        self._depth += 1
        if self._depth > MAX_DEPTH:
            raise ValueError("elements without end")
        for key, value in attributes.items():
            self._keep(_NAMES.get(_local(key), ""), value)
        if not self._name and (name := _NAMES.get(_local(tag), "")):
            self._name, self._since, self._parts = name, self._depth, []

    def data(self, text: str) -> None:
        if self._name:
            self._parts.append(text)

    def end(self, _tag: str) -> None:
        if self._name and self._depth == self._since:
            self._keep(self._name, "".join(self._parts))
            self._name = ""
        self._depth -= 1

    def close(self) -> None:
        """Nothing is left to do."""

    def _keep(self, name: str, text: str) -> None:
        if name and text.strip():
            self.texts.setdefault(name, text.strip())


def _local(name: str) -> str:
    return name.rpartition("}")[2]
