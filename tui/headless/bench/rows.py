"""The rows of the table: what is compared, in which unit, and what each way does."""

from typing import Final, Literal

from msgspec import Struct

Home = Literal["worker", "processes"]


class Row(Struct, frozen=True, kw_only=True):
    """One thing that is measured."""

    name: str
    what: str
    home: Home = "worker"
    """Inside a process with torch, or from outside whole processes."""
    needs: Literal["", "controlnet", "other"] = ""
    """What it needs beside the model: the bundled ControlNet, or a second model."""
    limited: bool = False
    """Whether a physical limit is measured too."""


class Result(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What was measured. Seconds, unless `unit` says otherwise."""

    name: str
    ours: float
    naive: float | None = None
    limit: float | None = None
    unit: str = "s"
    bytes_moved: int | None = None
    loads: int | None = None
    naive_loads: int | None = None


ROWS: Final = (
    Row(name="ui_first_paint", what="the app's first paint, beside a bare Textual app", home="processes"),
    Row(
        name="engine_ready",
        what="engine and model ready; beside a script that loads",
        home="processes",
    ),
    Row(name="first_picture", what="from nothing to a saved picture; beside a script that does it", home="processes"),
    Row(name="load_warm", what="load, files in the page cache", limited=True),
    Row(name="mode_swap", what="txt2img to another mode; beside delete, collect, load"),
    Row(name="controlnet_add", what="ControlNet in and out; beside loading it and from_pipe", needs="controlnet"),
    Row(
        name="model_swap_disk",
        what="one model for another; beside delete, collect, load",
        needs="other",
    ),
    Row(name="step", what="one step, with progress, previews and cancelling; beside the bare pipeline"),
    Row(name="end_to_end", what="resident model to saved picture"),
    Row(name="preview", what="one preview frame; beside decoding it with the VAE"),
    Row(name="cancel_step", what="cancel in a step; beside diffusers' interrupt flag"),
    Row(name="peak_rss", what="most memory while models are swapped", needs="other"),
)
"""In the order of the table."""
