"""What to do when memory runs out: a ladder, one rung for each retry."""

from collections.abc import Sequence
from enum import IntEnum
from typing import Final

from tui.protocol.job import MemoryOptions
from tui.worker.component import Component


class Relief(IntEnum):
    """A rung; each includes those below it."""

    NONE = 0
    IDLE_DROPPED = 1
    TEXT_ENCODERS_DROPPED = 2
    VAE_TILED = 3
    COMPONENTS_OFFLOADED = 4
    LAYERS_STREAMED = 5

    @property
    def told(self) -> str:
        """What was done, for the user."""
        return TOLD[self]


TOLD: Final = {
    Relief.NONE: "",
    Relief.IDLE_DROPPED: "other models were dropped from memory",
    Relief.TEXT_ENCODERS_DROPPED: "text encoders are dropped once the prompt is read",
    Relief.VAE_TILED: "the picture is decoded in tiles",
    Relief.COMPONENTS_OFFLOADED: "only one component is kept in memory at a time",
    Relief.LAYERS_STREAMED: "weights are streamed block by block",
}


def asked_for(memory: MemoryOptions) -> Relief:
    """The rung that a job's own memory options begin at; its VAE tiling is a thing of its own."""
    if memory.offload == "layers":
        return Relief.LAYERS_STREAMED
    if memory.offload == "components":
        return Relief.COMPONENTS_OFFLOADED
    return Relief.TEXT_ENCODERS_DROPPED if memory.drop_text_encoders else Relief.NONE


def first_that_fits(text: Sequence[Component], rest: Sequence[Component], budget: int) -> Relief:
    """The lowest rung on which the weights alone stay within `budget` bytes."""
    reading, drawing = _bytes(text), _bytes(rest)
    if reading + drawing <= budget:
        return Relief.NONE
    if max(reading, drawing) <= budget:
        return Relief.TEXT_ENCODERS_DROPPED
    if max(component.bytes for component in (*text, *rest)) <= budget:
        return Relief.COMPONENTS_OFFLOADED
    return Relief.LAYERS_STREAMED


def _bytes(components: Sequence[Component]) -> int:
    return sum(component.bytes for component in components)
