"""Sweeps: one job drawn with every combination of some values."""

from typing import Annotated, Final

from msgspec import Meta, Struct

from tui.protocol.job import Job

MAX_CELLS: Final = 1000
"""Jobs that one sweep may make."""


class Axis(Struct, frozen=True, kw_only=True):
    """One parameter and its values, as they were written (:mod:`tui.library.sweeps`)."""

    name: str
    values: Annotated[list[str], Meta(min_length=1, max_length=MAX_CELLS)]


class Sweep(Struct, frozen=True, kw_only=True):
    """A job, and what is to be varied of it."""

    id: Annotated[str, Meta(pattern="^[0-9a-f]{16}$")]
    """Made by the client, so that starting twice after a lost answer makes one sweep."""
    base: Job
    axes: Annotated[list[Axis], Meta(min_length=1, max_length=3)]
    """The first runs across the grid, the others down."""


class SweepCell(Struct, frozen=True, kw_only=True):
    """One combination, as far as it is."""

    job_id: str
    labels: list[str]
    """Its values, one an axis."""
    state: str
    """Of its job; "absent" until the queue has it."""
    picture: int = 0
    """The id of its picture; 0 while there is none."""


class SweepState(Struct, frozen=True, kw_only=True):
    """A sweep and all its cells, row by row."""

    sweep: Sweep
    cells: list[SweepCell]
