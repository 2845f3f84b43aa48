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
    ways: tuple[str, ...] = ("ours", "naive")
    """What is measured beside it: "limit" is what the hardware allows, others are more of diffusers' own ways."""
    on_gpu: bool = False
    """Whether it says anything on a GPU alone."""
    asked: bool = False
    """Whether it is measured only when asked for by name: it takes minutes."""
    unit: Literal["s", "bytes"] = "s"


class Result(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What was measured. Seconds, unless `unit` says otherwise."""

    name: str
    ours: float | None = None
    naive: float | None = None
    limit: float | None = None
    unit: str = "s"
    bytes_moved: int | None = None
    loads: int | None = None
    naive_loads: int | None = None
    peak_bytes: int | None = None
    """Of the GPU's memory."""
    first_seconds: float | None = None
    """What the first time took, where it is not like the others."""
    again_seconds: float | None = None
    """What it takes when the same was there before."""
    others: dict[str, float] = {}
    """By what else diffusers offers."""
    failed: dict[str, str] = {}
    """Why a way could not be measured, by its name."""


WITH_LIMIT: Final = ("ours", "naive", "limit")

ROWS: Final = (
    Row(name="ui_first_paint", what="the app's first paint, beside a bare Textual app", home="processes"),
    Row(
        name="engine_ready",
        what="engine and model ready; beside a script that loads",
        home="processes",
    ),
    Row(name="first_picture", what="from nothing to a saved picture; beside a script that does it", home="processes"),
    Row(name="load_warm", what="load, files in the page cache", ways=WITH_LIMIT),
    Row(name="load_cold", what="load, files on the disk alone", ways=WITH_LIMIT),
    Row(name="mode_swap", what="txt2img to another mode; beside delete, collect, load"),
    Row(name="controlnet_add", what="ControlNet in and out; beside loading it and from_pipe", needs="controlnet"),
    Row(
        name="model_swap_resident",
        what="one model for another, both on the device; by hand, nothing",
        needs="other",
        ways=("ours",),
    ),
    Row(
        name="model_swap_host",
        what="one model for another, both in RAM; beside .to() and .to()",
        needs="other",
        ways=WITH_LIMIT,
        on_gpu=True,
    ),
    Row(
        name="model_swap_disk",
        what="one model for another; beside delete, collect, load",
        needs="other",
    ),
    Row(
        name="step",
        what="one step, with progress, previews and cancelling; beside the bare pipeline",
        ways=WITH_LIMIT,
    ),
    Row(name="step_compiled", what="one step of the compiled model; beside the bare pipeline", asked=True),
    Row(name="end_to_end", what="resident model to saved picture"),
    Row(name="preview", what="one preview frame; beside decoding it with the VAE"),
    Row(name="cancel_step", what="cancel in a step; beside diffusers' interrupt flag"),
    Row(name="cancel_load", what="cancel in a load; beside waiting for its end"),
    Row(
        name="peak_rss",
        what="most memory while models are swapped, without mapped files",
        needs="other",
        unit="bytes",
    ),
    Row(name="peak_device", what="most GPU memory while drawing", on_gpu=True, unit="bytes"),
    *(
        Row(
            name=f"budget_{size}",
            what=f"a picture of 8 steps within {size} GiB; beside offloading whole models",
            ways=("ours", "naive", "group", "sequential"),
            on_gpu=True,
            asked=True,
        )
        for size in (24, 16, 12, 8, 6)
    ),
)
"""In the order of the table."""
