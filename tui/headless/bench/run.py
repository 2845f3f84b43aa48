"""Measuring the rows one after another and telling each as it comes, as a line of a table, or all as JSON."""

import math
import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Final

import msgspec
from rich.console import Console
from rich.progress import Progress, SpinnerColumn, TextColumn, TimeElapsedColumn
from rich.table import Table

from tui.headless.bench.measuring import QUIET, Measuring
from tui.headless.bench.processes import measured
from tui.headless.bench.rows import ROWS, Result, Row
from tui.headless.json_line import json_line
from tui.library.models import BUNDLED, read_model
from tui.library.paths import Paths, bundled_models, expanded
from tui.library.plain_text import plain
from tui.protocol.problem import LatenttyError, bad_request

CONTROLNET: Final = "emoji-tiny-control-edges"

WIDTH: Final = 160
"""Columns that a line with all of its notes has room in; a narrower terminal goes on in the next line."""


def bench(paths: Paths, *, model: str, synthetic: str, only: Sequence[str], as_json: bool, plot: bool) -> int:
    """Measure, and print each line on stdout as it comes; progress goes to stderr.

    Returns 1 when a measure failed, else 0.

    Raises:
        LatenttyError: a row is unknown, the model is missing or damaged, or a row that was asked for needs more.
    """
    known = {row.name: row for row in ROWS}
    if unknown := [name for name in only if name not in known]:
        raise bad_request(f"There is no row called {', '.join(unknown)}.", f"There are: {', '.join(known)}.")
    rows = [known[name] for name in only] or [row for row in ROWS if not row.asked]
    named = expanded(model) if model else bundled_models() / BUNDLED
    place = _made(paths, synthetic) if synthetic else named
    read_model(place)
    results: list[Result] = []
    with Measuring() as measuring:
        for row in rows:
            with _working(row):
                found = _measure(row, place, _other(paths, row, place, asked=bool(only)), measuring, asked=bool(only))
            if found is None:
                continue
            if not as_json:
                Console(highlight=False, width=WIDTH).print(_line(found, header=not results))
            results.append(found)
    if as_json:
        print(json_line({"rows": [msgspec.to_builtins(result) | {"unit": result.unit} for result in results]}))
    elif plot:
        print("\n".join(bar for result in results if (bar := _bar(result))))
    for result in results:
        for way, why in result.failed.items():
            print(f"{result.name} ({way}) failed: {plain(why)}", file=sys.stderr)
    return 1 if any(result.failed for result in results) else 0


def _other(paths: Paths, row: Row, model: Path, *, asked: bool) -> Path | None:
    """What `row` needs beside `model`; None where there is none and the row was not asked for by name.

    Raises:
        LatenttyError: it was asked for.
    """
    if row.needs == "controlnet" and model.name == BUNDLED:
        return bundled_models() / CONTROLNET
    if row.needs == "other":
        twin = _made(paths, "twin") if model.name == BUNDLED else model.with_name(f"{model.name}-2")
        if twin.is_dir():
            return twin
    if row.needs and asked:
        lacking = "ControlNet" if row.needs == "controlnet" else "second model"
        raise bad_request(
            f"The row {row.name} needs a {lacking} for {model.name}.",
            "Leave --model out, or take --synthetic sd15, which makes two models.",
        )
    return None


def _working(row: Row) -> Progress:
    """What is measured and for how long so far, on stderr, until it is done."""
    columns = (SpinnerColumn(), TextColumn("{task.description}", markup=False), TimeElapsedColumn())
    progress = Progress(*columns, console=Console(stderr=True, highlight=False), transient=True)
    progress.add_task(f"{row.name}: {row.what}", total=None)
    return progress


def _measure(row: Row, model: Path, other: Path | None, measuring: Measuring, *, asked: bool) -> Result | None:
    """What `row` gives; None where it says nothing here and was not asked for by name."""
    if row.home == "processes":
        return _of_processes(row, model)
    if (row.needs and other is None) or (row.on_gpu and not asked and not measuring.has_gpu()):
        return None
    others = [other] if other is not None else []
    name = "model_swap_disk" if row.name == "peak_rss" else row.name
    told = {way: measuring.measure(name, way, model, *others) for way in row.ways}
    failed = {way: str(one["failed"]) for way, one in told.items() if "failed" in one}
    found = {way: one for way, one in told.items() if way not in failed}
    value = "peak_bytes" if row.name == "peak_rss" else "value"
    values = {way: float(one[value]) for way, one in found.items()}
    mine = found.get("ours", {})
    return Result(
        name=row.name,
        ours=values.pop("ours", None),
        naive=values.pop("naive", None),
        limit=0.0 if row.name in ("mode_swap", "model_swap_resident") else values.pop("limit", None),
        unit=row.unit,
        bytes_moved=_whole(mine.get("bytes_moved")),
        loads=_whole(mine.get("loads")),
        naive_loads=_whole(found.get("naive", {}).get("loads")),
        peak_bytes=None if row.name in ("peak_rss", "model_swap_disk") else _whole(mine.get("peak_bytes")),
        first_seconds=mine.get("first_seconds"),
        again_seconds=mine.get("again_seconds"),
        others=values,
        failed=failed,
    )


def _of_processes(row: Row, model: Path) -> Result:
    values: dict[str, float] = {}
    failed: dict[str, str] = {}
    for way in row.ways:
        try:
            values[way] = measured(row.name, way, model)
        except LatenttyError as error:
            failed[way] = error.problem.cause
    return Result(name=row.name, ours=values.get("ours"), naive=values.get("naive"), failed=failed)


def _whole(number: float | None) -> int | None:
    return None if number is None else int(number)


def _made(paths: Paths, kind: str) -> Path:
    """A model made for measuring, once, and kept in the cache folder: random weights of real size, with a second one
    beside it to swap with; or a twin of the bundled model with other weights."""
    folder = paths.cache / "bench"
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    for name in (kind,) if kind == "twin" else (kind, f"{kind}-2"):
        if not (folder / name).is_dir():
            print(f"making {folder / name}, which takes a while", file=sys.stderr)
            command = [sys.executable, "-m", "tui.worker.bench.synthetic", kind, str(folder / name)]
            subprocess.run(command, env=os.environ | QUIET, check=True, capture_output=True)
    return folder / kind


def _line(one: Result, *, header: bool) -> Table:
    """One row of the table, with the names of the columns above it or without."""
    table = Table(box=None, show_header=header, header_style="dim")
    table.add_column("row", min_width=max(len(row.name) for row in ROWS))
    for name in ("ours", "naive", "limit", "naive ÷ ours"):
        table.add_column(name, justify="right", min_width=12)
    table.add_column("notes", no_wrap=True)
    ratio = f"{one.naive / one.ours:.2f}×" if one.naive and one.ours else ""
    limit = _shown(one.limit, one.unit) if one.limit is not None else ""
    table.add_row(one.name, _shown(one.ours, one.unit), _shown(one.naive, one.unit), limit, ratio, _notes(one))
    return table


def _notes(one: Result) -> str:
    notes = []
    if one.bytes_moved is not None:
        notes.append(f"{one.bytes_moved / 1e6:,.0f} MB moved")
    if one.loads is not None:
        notes.append(f"{one.loads} loads, naively {one.naive_loads}")
    if one.peak_bytes is not None:
        notes.append(f"{one.peak_bytes / 2**30:.1f} GiB at most")
    if one.first_seconds is not None:
        notes.append(f"the first {one.first_seconds:,.1f} s")
    if one.again_seconds is not None:
        notes.append(f"again {_shown(one.again_seconds, 's')}")
    notes += [f"{way} {_shown(value, one.unit)}" for way, value in one.others.items()]
    notes += [f"{way} failed" for way in one.failed]
    return ", ".join(notes)


def _shown(value: float | None, unit: str) -> str:
    if value is None:
        return ""
    if unit == "bytes":
        return f"{value / 2**20:,.0f} MiB"
    return f"{value * 1000:,.2f} ms" if value < 1 else f"{value:,.2f} s"


def _bar(one: Result) -> str:
    """How many times as long the naive way takes, as a bar on a logarithmic scale; nothing without both."""
    if not one.naive or not one.ours:
        return ""
    ratio = one.naive / one.ours
    return f"{one.name:<19} {'█' * max(round(4 * math.log2(ratio)), 0)} {ratio:.2f}×"
