"""A download: one model on its way from a hub to a folder of this box."""

from typing import Annotated, Final, Literal

from msgspec import Meta, Struct

from tui.protocol.problem import Problem

DownloadPhase = Literal["waiting", "asking", "fetching", "checking", "done", "failed", "cancelled"]

OPEN: Final = frozenset({"waiting", "asking", "fetching", "checking"})
"""The phases of a download that is not at its end."""


class DownloadState(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """How far a download is. Bytes, and bytes a second."""

    id: Annotated[str, Meta(pattern="^[0-9a-f]{16}$")]
    """Made from its source and its folder: the same download again goes on with this one."""
    source: str
    """As it was asked for: hf:org/name, civitai:12345 or an https address."""
    folder: str
    phase: DownloadPhase = "waiting"
    title: str = ""
    license: str = ""
    """What its page says about using it."""
    files: int = 0
    done_bytes: int = 0
    total_bytes: int = 0
    """0 until it is known."""
    rate: float = 0.0
    """Of the last seconds."""
    waiting: str = ""
    """Why nothing comes just now, and when it is tried again."""
    paths: list[str] = []
    """Where its weights are, once it is done."""
    problem: Problem | None = None

    @property
    def open(self) -> bool:
        """Whether it is not at its end."""
        return self.phase in OPEN

    @property
    def seconds_left(self) -> float | None:
        """Until all bytes are there, at its present rate; None when nobody can tell."""
        if not (self.open and self.rate > 0 and self.total_bytes):
            return None
        return max(self.total_bytes - self.done_bytes, 0) / self.rate
