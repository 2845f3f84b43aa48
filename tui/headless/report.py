"""How `latentty generate` tells what happens: results on stdout, everything else on stderr."""

import json
import sys
import time
from functools import cached_property
from typing import Final, Self

from PIL import Image
from rich.console import Console
from rich.progress import BarColumn, Progress, TaskID, TextColumn, TimeRemainingColumn

from tui.library.plain_text import plain
from tui.protocol.events import Loading, Picture, Step
from tui.protocol.job import Job
from tui.protocol.problem import Problem
from tui.terminal.choice import Preview
from tui.terminal.inline import InlinePictures
from tui.terminal.probe import look

LINE_EVERY: Final = 2.0
"""Seconds between two progress lines when stderr is no terminal."""

MEBIBYTE: Final = 1 << 20


class Report:
    """A bar on stderr where that is a terminal, a line now and then where it is not; paths or JSON on stdout."""

    def __init__(self, *, as_json: bool, preview: Preview = "auto") -> None:
        """`preview` is the setting of that name."""
        self._as_json = as_json
        self._console = Console(stderr=True, highlight=False)
        self._bar = Progress(
            TextColumn("{task.description}", style="dim", markup=False),
            BarColumn(),
            TextColumn("{task.fields[rate]}", markup=False),
            TimeRemainingColumn(),
            console=self._console,
            transient=True,
            disable=not self._console.is_terminal,
        )
        self._task: TaskID | None = None
        self._line_at = 0.0
        self._line = ""
        self._count = 1
        self._preview: Preview = preview

    @property
    def can_show(self) -> bool:
        """Whether stdout is a terminal on which a picture looks like one."""
        return not self._as_json and sys.stdout.isatty() and self._pictures.any

    @property
    def pixels(self) -> tuple[int, int]:
        """The most pixels, across and down, that a shown picture needs."""
        return self._pictures.pixels

    @cached_property
    def _pictures(self) -> InlinePictures:
        return InlinePictures(look(), self._preview)

    def __enter__(self) -> Self:
        self._bar.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._bar.stop()

    def queued(self, job: Job) -> None:
        """The engine has the job on its disk."""
        self._count = job.count
        self._tell("queued", job=job.id, model=job.model, seed=job.seed, count=job.count)
        self._show("waiting", 0, 1)

    def loading(self, event: Loading) -> None:
        """The model comes to the device."""
        done, total = event.done_bytes / MEBIBYTE, event.total_bytes / MEBIBYTE
        self._show(f"loading {event.model}", event.done_bytes, event.total_bytes, f"{done:.0f}/{total:.0f} MiB")

    def step(self, event: Step) -> None:
        """A denoising step ended."""
        rate = f"{1 / event.step_seconds:.1f} it/s" if event.step_seconds else ""
        which = f"picture {event.index + 1}/{self._count} " if self._count > 1 else ""
        self._show(f"{which}step {event.step}/{event.steps}", event.step, event.steps, rate)
        self._tell("step", index=event.index, step=event.step, steps=event.steps)

    def saved(self, picture: Picture, shown: Image.Image | None) -> None:
        """A picture is on the disk."""
        if self._as_json:
            self._tell(
                "saved",
                path=picture.path,
                seed=picture.seed,
                index=picture.index,
                job=picture.job_id,
                width=picture.width,
                height=picture.height,
            )
            return
        if shown is not None:
            self._draw(shown)
        self._print(picture.path)

    def note(self, problem: Problem) -> None:
        """Something went wrong that does not end the job."""
        self._console.print(plain(str(problem)), style="yellow", markup=False)

    def done(self) -> None:
        """Every picture is saved."""
        self._tell("done")

    def cancelled(self) -> None:
        """The user asked for the end."""
        self._tell("cancelled")
        self._console.print("Cancelled.", style="yellow")

    def failed(self, problem: Problem) -> None:
        """The job, or the way to it, failed."""
        self._tell("failed", code=problem.code, cause=problem.cause, hint=problem.hint)
        self._console.print(plain(f"latentty: {problem}"), style="red", markup=False, soft_wrap=True)

    def _tell(self, event: str, **fields: object) -> None:
        if self._as_json:
            self._print(json.dumps({"event": event, **fields}))

    def _print(self, line: str) -> None:
        """A line on stdout; the bar, when both are one terminal, is below it again afterwards."""
        self._bar.stop()
        print(plain(line) if sys.stdout.isatty() else line, flush=True)
        self._bar.start()

    def _show(self, what: str, done: int, total: int, rate: str = "") -> None:
        what = plain(what)
        if self._console.is_terminal:
            if self._task is None:
                self._task = self._bar.add_task(what, rate=rate)
            self._bar.update(self._task, description=what, completed=done, total=max(total, 1), rate=rate)
            return
        line = f"{what} {rate}".rstrip()
        if line != self._line and (time.monotonic() - self._line_at > LINE_EVERY or done == total):
            self._line, self._line_at = line, time.monotonic()
            print(line, file=sys.stderr, flush=True)

    def _draw(self, picture: Image.Image) -> None:
        self._bar.stop()
        sys.stdout.write(self._pictures.text(picture))
        sys.stdout.flush()
        self._bar.start()
