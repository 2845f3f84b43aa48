"""`python -m tests.faults.quick_worker FD`: the real supervisor and picture files, with a painter for a pipeline."""

import asyncio
import ctypes
import os
import signal
import socket
import sys
import time
from collections.abc import Callable
from pathlib import Path

from PIL import Image

from tests.faults.fault_points import around, passed
from tui.library.metadata import Making
from tui.library.pictures import already_saved, save_picture
from tui.protocol.commands import Run
from tui.protocol.events import Loading, ModelReady, SavedFile, Step, WorkerEvent
from tui.protocol.frames import Preview
from tui.protocol.job import Annotator, Mode
from tui.protocol.problem import LatenttyError, Problem
from tui.worker import __main__ as worker
from tui.worker.cancel import CancelToken
from tui.worker.lost_device import device_watched


class AcceleratorError(RuntimeError):
    """What torch raises when its device fails."""

    error_code = 710


class Painter:
    """Does what the prompt says: "poison" dies, "hang" never ends, and most others are a flat colour."""

    def __init__(self, tell: Callable[[WorkerEvent], None], show: Callable[[Preview], None]) -> None:
        self._tell = tell
        self._show = show
        self._broken = False

    def load(self, name: str, path: str, token: CancelToken) -> None:
        for done in range(4):
            passed("load")
            token.check()
            self._tell(Loading(model=name, component="unet", done_bytes=done, total_bytes=4))
        self._tell(ModelReady(model=name, seconds=0.0, bytes=4))

    def unload(self, name: str, *, keep_pinned: bool) -> None:
        passed("unload")

    def pin(self, path: str, *, pinned: bool) -> None:
        passed("pin")

    def swap(self, name: str, path: str, mode: Mode) -> None:
        passed("swap")

    def ensure_controlnet(self, name: str, path: str, token: CancelToken) -> None:
        self.load(name, path, token)

    def release_controlnet(self, name: str, path: str) -> None:
        passed("release")

    def ensure_adapter(self, name: str, path: str, adapter: str) -> None:
        passed("adapter")

    def annotate(self, image: str, annotator: Annotator) -> str:
        return image

    def set_budget(self, size: int) -> None:
        passed("budget")

    def is_lost(self) -> bool:
        return self._broken

    def run(self, command: Run, token: CancelToken) -> None:
        job = command.job
        self.load(job.model, command.model_path, token)
        for target in command.targets:
            path = Path(target.path)
            if not already_saved(path, job, target.index):
                passed("encode")
                for step in range(job.steps):
                    passed("step")
                    self._misbehave(job.prompt)
                    token.check()
                    self._tell(Step(job_id=job.id, index=target.index, step=step + 1, steps=job.steps))
                    rgb = bytes(48 * 48 * 3)
                    self._show(Preview(job_id=job.id, index=target.index, step=step + 1, width=48, height=48, rgb=rgb))
                    time.sleep(0.002)
                passed("decode")
                colour = (job.seed % 256, job.steps % 256, target.index % 256)
                save_picture(Image.new("RGB", (job.width, job.height), colour), path, making(command, target.index))
            passed("saved")
            self._tell(
                SavedFile(
                    job_id=job.id,
                    index=target.index,
                    path=target.path,
                    seed=job.seed_of(target.index),
                    width=job.width,
                    height=job.height,
                )
            )

    def _misbehave(self, prompt: str) -> None:
        if prompt == "poison":
            os.kill(os.getpid(), signal.SIGSEGV)
        if prompt == "more and more memory":
            hoard = []
            while True:
                hoard.append(b"x" * (16 << 20))
        if prompt == "hang":
            time.sleep(3600)
        if prompt == "stand still":
            os.kill(os.getpid(), signal.SIGSTOP)
        if prompt == "hang with the interpreter's lock":
            ctypes.PyDLL(None).sleep(3600)
        if prompt.startswith("the device"):
            marker = Path(os.environ["FAULT_MARKER"])
            if "always" in prompt or not marker.exists():
                marker.touch()
                self._broken = True
                self._break(prompt)

    def _break(self, prompt: str) -> None:
        """As CUDA does: with an error that has its code, with one that has none, or with a crash."""
        told = "CUDA error: device-side assert triggered"
        if "without a code" in prompt:
            raise RuntimeError(told)
        try:
            if "crashes" not in prompt:
                with device_watched():
                    raise AcceleratorError(told)
            print(told)
        finally:
            os.kill(os.getpid(), signal.SIGSEGV)  # as letting go of what it held can end


def making(command: Run, index: int) -> Making:
    job = command.job
    return Making(
        version="1",
        job=job,
        index=index,
        seed=job.seed_of(index),
        model_family="paint",
        pipeline="Painter",
        scheduler={},
        device="cpu",
        dtype="float32",
        libraries={},
    )


def explain(error: Exception, doing: str) -> Problem:
    if isinstance(error, LatenttyError):
        return error.problem
    return Problem(code="internal", cause=f"{error} while {doing}")


def main() -> None:
    ctypes.CDLL(None).prctl(worker.PR_SET_PDEATHSIG, signal.SIGKILL)
    os.fsync = around(os.fsync, "fsync")
    Path.rename = around(Path.rename, "rename")
    Image.Image.save = around(Image.Image.save, "write")
    worker._explain = explain
    worker.PULSE_EVERY = 0.1
    asyncio.run(worker.serve(socket.socket(fileno=int(sys.argv[1])), Painter))


if __name__ == "__main__":
    main()
